-- One workload for wrk: requests made ready before the run, so that the client costs little and alike
-- for every server. BENCH_METHOD, BENCH_PATH and BENCH_BODY say what is asked; {n} in them is a number
-- from 1 to BENCH_NUMBERS that changes from request to request. BENCH_HEADERS holds a header on each
-- line. The last line of the output is for benchmarks/measuring.py.

local KEPT = 2000

local ready = {}
local turn = 0

local function filled(template, number)
    return (template:gsub("{n}", tostring(number)))
end

function init()
    local method = os.getenv("BENCH_METHOD") or "GET"
    local path = os.getenv("BENCH_PATH") or "/"
    local body = os.getenv("BENCH_BODY") or ""
    local numbers = tonumber(os.getenv("BENCH_NUMBERS") or "1")
    for line in (os.getenv("BENCH_HEADERS") or ""):gmatch("[^\n]+") do
        local name, value = line:match("^([^:]+): (.*)$")
        wrk.headers[name] = value
    end
    if body ~= "" then
        wrk.headers["Content-Type"] = "application/json"
    end
    -- Steps of a prime reach numbers all over the range in an order that repeats in every run.
    for index = 1, KEPT do
        local number = (index * 7919) % numbers + 1
        local sent = nil
        if body ~= "" then
            sent = filled(body, number)
        end
        ready[index] = wrk.format(method, filled(path, number), nil, sent)
    end
end

function request()
    turn = turn % KEPT + 1
    return ready[turn]
end

function done(summary, latency, _)
    local lost = summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout
    io.write(string.format(
        "RESULT %d %d %d %d %.0f %.0f\n",
        summary.requests, summary.duration, lost, summary.errors.status,
        latency:percentile(50), latency:percentile(99)
    ))
end
