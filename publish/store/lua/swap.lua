-- Compare-and-swap of the pointer. KEYS after the history's: ptr, runs, restoring. ARGV: revision it must have ('0' for none
-- yet), the new pointer, runs that must be in a state ([[run, state], …]), states that change with it ([[run, JSON], …]),
-- runs that the pointer named until now ([run, …]), time by the caller's clock, '1' when this swap ends a rebuild ('0':
-- none may be under way), fields of the pointer that are this moment ([name, …]), why, who, the moment if simulated ('').
local before = redis.call('GET', KEYS[3])
before = before and cjson.decode(before)
if (before and before.rev or 0) ~= tonumber(ARGV[1]) then
  return {'STALE'}
end
if redis.call('EXISTS', KEYS[5]) ~= tonumber(ARGV[7]) then
  return {ARGV[7] == '1' and 'STALE' or 'RESTORING'}
end
-- The state of a run as a table; nil if it is missing or cannot be read, in which case it is left as it is.
local function state_of(run)
  local readable, state = pcall(cjson.decode, redis.call('HGET', KEYS[4], run .. ':state') or '')
  return readable and type(state) == 'table' and state or nil
end
for _, need in ipairs(cjson.decode(ARGV[3])) do
  local found = state_of(need[1])
  local state = found and found.state
  if state ~= need[2] then
    return {'STATE', need[1], tostring(state or 'UNREADABLE')}
  end
end
redis.call('HDEL', KEYS[4], '-')  -- a full Redis allows this, and then what follows in the same script
if before then
  catch_up(before, ARGV[11])
end
local pointer, now = cjson.decode(ARGV[2]), moment(ARGV[11])
for _, name in ipairs(cjson.decode(ARGV[8])) do
  pointer[name] = now
end
local written = cjson.encode(pointer)
write_down(pointer, ARGV[9], ARGV[10])  -- before the pointer: a user without the right to this changes nothing
redis.call('SET', KEYS[3], written)
redis.call('DEL', KEYS[5])
for _, change in ipairs(cjson.decode(ARGV[4])) do
  redis.call('HSET', KEYS[4], change[1] .. ':state', change[2])
end
for _, run in ipairs(cjson.decode(ARGV[5])) do
  local state = state_of(run)
  if state then
    state.let_go = ARGV[6]
    redis.call('HSET', KEYS[4], run .. ':state', cjson.encode(state))
  end
end
return {'SWAPPED', written}
