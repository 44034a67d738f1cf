# A worker for the pool `gpu`; one flow run at a time, because one run fills the device.
#   docker build -f infra/gpu.Dockerfile -t caplift:gpu .
FROM pytorch/pytorch:2.11.0-cuda12.8-cudnn9-runtime
RUN apt-get update \
 && apt-get install --yes --no-install-recommends tini \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --create-home --uid 1001 caplift
WORKDIR /app
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY flows flows
COPY tasks tasks
COPY models models
COPY sql sql
# The image's own CUDA build of torch stays: the constraint names the CPU build.
RUN grep -v '^torch==' constraints.txt > gpu-constraints.txt \
 && pip install --no-cache-dir --constraint gpu-constraints.txt ".[pipeline,weights,s3]"
USER caplift
ENTRYPOINT ["tini", "--"]
CMD ["prefect", "worker", "start", "--pool", "gpu", "--type", "process", "--limit", "1"]
