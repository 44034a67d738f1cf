# A worker for the pool `cpu`, Prefect's server and MLflow's pages: one image, three commands.
#   docker build -f infra/cpu.Dockerfile -t caplift:cpu .
FROM python:3.11-slim
RUN apt-get update \
 && apt-get install --yes --no-install-recommends tini \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --create-home --uid 1000 caplift
WORKDIR /app
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY flows flows
COPY tasks tasks
COPY models models
COPY sql sql
COPY infra/prefect.yaml infra/prefect.yaml
RUN pip install --no-cache-dir --constraint constraints.txt ".[pipeline,weights,s3]" asyncpg
USER caplift
# tini reaps and forwards signals; a run that is stopped this way is found by the sweep flow.
ENTRYPOINT ["tini", "--"]
CMD ["prefect", "worker", "start", "--pool", "cpu", "--type", "process", "--limit", "3"]
