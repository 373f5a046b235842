-- Prelude of every script that moves a partition's position (joined in front by `publish/store/redis_store.py`).
-- KEYS[1] position hash; ARGV[1..2] offset and topic id that the caller expects ('' for none yet),
-- ARGV[3..4] the position afterwards, ARGV[5] time.
-- If the caller expects another position, it was frozen or Redis lost its last writes: it must read the position again.
local held = redis.call('HMGET', KEYS[1], 'offset', 'topic_id')
if (held[1] or '') ~= ARGV[1] or (held[2] or '') ~= ARGV[2] then
  return {'STALE'}
end
local function move()
  redis.call('HSET', KEYS[1], 'offset', ARGV[3], 'topic_id', ARGV[4])
end
