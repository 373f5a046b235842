-- One step of a run's state. KEYS: runs, ptr. ARGV: run, states it may come from (JSON array), the new state as JSON, what
-- the pointer must not name it as (JSON array), the new state to write instead while a hold is set ('' for the same).
local known = redis.call('HGET', KEYS[1], ARGV[1] .. ':state')
if not known then
  return {'UNKNOWN'}
end
local readable, status = pcall(cjson.decode, known)
local state, may = readable and type(status) == 'table' and status.state or 'UNREADABLE', false
for _, from in ipairs(cjson.decode(ARGV[2])) do
  may = may or from == state
end
if not may then
  return {'REFUSED', tostring(state)}
end
local pointer = cjson.decode(redis.call('GET', KEYS[2]) or '{}')
for _, role in ipairs(cjson.decode(ARGV[4])) do
  if pointer[role] == ARGV[1] then
    return {'NAMED', role}
  end
end
local held = ARGV[5] ~= '' and pointer.hold ~= nil and pointer.hold ~= cjson.null
redis.call('HDEL', KEYS[1], '-')  -- a full Redis allows this, and then what follows in the same script
redis.call('HSET', KEYS[1], ARGV[1] .. ':state', held and ARGV[5] or ARGV[3])
return {'MOVED'}
