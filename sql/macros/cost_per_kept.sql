-- What does a thousand kept captions cost, at a price for an hour of a machine and of a GPU?
-- reads v_cost_per_kept; a macro over two prices; returns a row a selection, in the prices' money
create or replace macro cost_per_kept(an_hour, a_gpu_hour) as table (
    select
        selection,
        n_kept,
        ((seconds - gpu_seconds) * an_hour + gpu_seconds * a_gpu_hour) / 3600 as cost,
        1000 * ((seconds - gpu_seconds) * an_hour + gpu_seconds * a_gpu_hour) / 3600
        / nullif(n_kept, 0) as cost_per_1000
    from v_cost_per_kept
    order by selection
)
