-- Prelude of every script that changes the pointer (joined in front by `publish/runs`): each pointer is written down in
-- the call that makes it. KEYS[1] history, KEYS[2] unsent: lists of {"pointer", "reason", "who"} as JSON, the oldest
-- first; the history has the newest of them, unsent those that Kafka may not have yet.
local HISTORY, UNSENT, KEPT = KEYS[1], KEYS[2], 1000

-- A time since 1970 as ISO 8601 in UTC (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", civil_from_days).
local function iso(seconds, micros)
  local day, second = math.floor(seconds / 86400) + 719468, seconds % 86400
  local era, of_era = math.floor(day / 146097), day % 146097
  local year = math.floor(
    (of_era - math.floor(of_era / 1460) + math.floor(of_era / 36524) - math.floor(of_era / 146096)) / 365)
  local of_year = of_era - 365 * year - math.floor(year / 4) + math.floor(year / 100)
  local month = math.floor((5 * of_year + 2) / 153)  -- 0 is March
  local of_month = of_year - math.floor((153 * month + 2) / 5) + 1
  year, month = year + 400 * era + (month > 9 and 1 or 0), month > 9 and month - 9 or month + 3
  return string.format('%04d-%02d-%02dT%02d:%02d:%02d.%06dZ', year, month, of_month,
    math.floor(second / 3600), math.floor(second / 60) % 60, second % 60, micros)
end

-- The pointer of the newest entry, or nil; one without a revision if the entry cannot be read.
local function newest()
  local raw = redis.call('LRANGE', HISTORY, -1, -1)[1]
  local readable, entry = pcall(cjson.decode, raw or '')
  local pointer = readable and type(entry) == 'table' and entry.pointer
  return type(pointer) == 'table' and type(pointer.since) == 'string' and pointer or raw and {since = ''}
end

-- The time by Redis' clock, but never before the newest entry: a server that took over may be behind. In a simulation
-- (publish/clock.py) it is the simulated one, which is given; otherwise that is '' or nil.
local function moment(simulated)
  local time, last = redis.call('TIME'), newest()
  local now = simulated and simulated ~= '' and simulated or iso(tonumber(time[1]), tonumber(time[2]))
  local before = last and string.gsub(last.since, ':(%d%d)Z$', ':%1.000000Z') or ''
  return before > now and before or now
end

local function keep(entry)
  redis.call('RPUSH', HISTORY, entry)
  redis.call('LTRIM', HISTORY, -KEPT, -1)
end

local function write_down(pointer, reason, who)
  local entry = cjson.encode({pointer = pointer, reason = reason, who = who})
  redis.call('RPUSH', UNSENT, entry)
  keep(entry)
end

-- Write down a pointer that was changed by another script, so that reason and author are unknown.
local function catch_up(pointer, simulated)
  local last = newest()
  if not last or last.rev ~= pointer.rev then
    if not pointer.since or pointer.since == cjson.null then
      pointer.since = moment(simulated)
    end
    write_down(pointer, last and 'changed without its history' or 'history begins', cjson.null)
  end
end

-- Write down that Redis lost everything, unless there is an entry already; nothing is served until the next entry.
local function write_down_loss(empty, reason, who, simulated)
  if not newest() then
    local pointer = cjson.decode(empty)
    pointer.since = moment(simulated)
    write_down(pointer, reason, who)
  end
end
