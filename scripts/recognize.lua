-- For wrk: post the body in the file that MIEN_BODY names; a refused client waits as it is told.
-- The last line printed is JSON. Percentiles are those of the pictures that were read: refusals
-- are counted apart, and are all quicker.
local threads = {}

function setup(thread)
  table.insert(threads, thread)
end

function init()
  read, refused, failed, waiting = 0, 0, 0, 0
  local file = assert(io.open(os.getenv("MIEN_BODY"), "rb"))
  wrk.method, wrk.body = "POST", file:read("*all")
  wrk.headers["Content-Type"] = "multipart/form-data; boundary=mien"
  file:close()
end

function response(status, headers)
  if status == 200 then
    read = read + 1
  elseif (status == 503 or status == 429) and headers["retry-after"] then
    refused = refused + 1
    waiting = waiting + 1
  else
    failed = failed + 1
  end
end

function delay()
  if waiting == 0 then
    return 0
  end
  waiting = waiting - 1
  return 1000
end

function done(summary, latency, _)
  local all = { read = 0, refused = 0, failed = 0 }
  for _, thread in ipairs(threads) do
    for name in pairs(all) do
      all[name] = all[name] + thread:get(name)
    end
  end
  local answers = all.read + all.refused + all.failed
  local function ms(share)
    return latency:percentile(100 * (answers - all.read * (1 - share)) / answers) / 1000
  end
  local errors = summary.errors
  print(string.format(
    '{"read": %d, "refused": %d, "failed": %d, "seconds": %.3f, "p50": %.1f, "p95": %.1f, "p99": %.1f}',
    all.read, all.refused,
    all.failed + errors.connect + errors.read + errors.write + errors.timeout,
    summary.duration / 1e6, ms(0.5), ms(0.95), ms(0.99)))
end
