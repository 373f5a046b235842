-- Compare-and-swap of the pointer. KEYS: ptr, runs, restoring. ARGV: revision it must have ('0' for none yet), the new pointer,
-- runs that must be in a state ([[run, state], …]), states that change with it ([[run, JSON], …]), runs that the pointer
-- named until now ([run, …]), time, '1' when this swap ends a rebuild ('0': none may be under way).
local pointer = redis.call('GET', KEYS[1])
local rev = pointer and cjson.decode(pointer).rev or 0
if rev ~= tonumber(ARGV[1]) then
  return {'STALE'}
end
if redis.call('EXISTS', KEYS[3]) ~= tonumber(ARGV[7]) then
  return {ARGV[7] == '1' and 'STALE' or 'RESTORING'}
end
-- The state of a run as a table; nil for one that is not there or that nobody can read, which is left as it is.
local function state_of(run)
  local readable, state = pcall(cjson.decode, redis.call('HGET', KEYS[2], run .. ':state') or '')
  return readable and type(state) == 'table' and state or nil
end
for _, need in ipairs(cjson.decode(ARGV[3])) do
  local found = state_of(need[1])
  local state = found and found.state
  if state ~= need[2] then
    return {'STATE', need[1], tostring(state or 'UNREADABLE')}
  end
end
redis.call('HDEL', KEYS[2], '-')  -- a full Redis allows this, and then what follows in the same script
redis.call('SET', KEYS[1], ARGV[2])
redis.call('DEL', KEYS[3])
for _, change in ipairs(cjson.decode(ARGV[4])) do
  redis.call('HSET', KEYS[2], change[1] .. ':state', change[2])
end
for _, run in ipairs(cjson.decode(ARGV[5])) do
  local state = state_of(run)
  if state then
    state.let_go = ARGV[6]
    redis.call('HSET', KEYS[2], run .. ':state', cjson.encode(state))
  end
end
return {'SWAPPED'}
