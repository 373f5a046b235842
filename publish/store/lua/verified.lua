-- Marks a partition that was read back. KEYS: position, st. The position has not moved since it was read back (or the
-- call is stale), and nothing writes without moving it: what was verified is what is marked.
local state = redis.call('HGET', KEYS[2], 'state')
if not state then
  return {'NO_BEGIN'}
end
move()
if state ~= 'LOADING' then
  return {'FENCED', state}
end
redis.call('HSET', KEYS[2], 'state', 'VERIFIED', 'touched', ARGV[5])
return {'VERIFIED'}
