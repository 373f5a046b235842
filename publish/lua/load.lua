-- Up to 500 records of one run. KEYS: position, st, seen, bucket hashes. ARGV after the position's, per record:
-- index of its bucket in KEYS, seq, user, payload. Everything or, when fenced, nothing is written.
local st = redis.call('HMGET', KEYS[2], 'state', 'count')
if not st[1] then
  return {'NO_BEGIN'}
end
if st[1] ~= 'LOADING' then
  move()
  return {'FENCED', st[1]}
end
local count, fresh = tonumber(st[2]), 0
local function conflict(why)
  redis.call('HSET', KEYS[2], 'state', 'FAILED', 'reason', why, 'touched', ARGV[5])
  move()
  return {'CONFLICT', why}
end
for i = 6, #ARGV, 4 do
  local key, seq, user, payload = KEYS[tonumber(ARGV[i])], tonumber(ARGV[i + 1]), ARGV[i + 2], ARGV[i + 3]
  if seq >= count then
    return conflict('seq ' .. ARGV[i + 1] .. ' of user ' .. user .. ' lies beyond the announced count ' .. st[2])
  end
  if redis.call('SETBIT', KEYS[3], seq, 1) == 0 then
    if redis.call('HSETNX', key, user, payload) == 0 then
      return conflict('user ' .. user .. ' came again as seq ' .. ARGV[i + 1])
    end
    fresh = fresh + 1
  elseif redis.call('HGET', key, user) ~= payload then
    return conflict('seq ' .. ARGV[i + 1] .. ' came twice with different content, the second time for user ' .. user)
  end
end
redis.call('HINCRBY', KEYS[2], 'loaded', fresh)
redis.call('HSET', KEYS[2], 'touched', ARGV[5])
move()
return {'LOADED', fresh}
