-- Writes back what Kafka kept of a product whose Redis was lost: all of it or nothing. KEYS: ptr, runs, epoch, lease:token,
-- restoring. ARGV: revision of the pointer that may be there (it names no run), the pointer to restore, floor of the
-- epoch, floor of the lease token; then field and value of `runs`, again and again.
if redis.call('EXISTS', KEYS[5]) == 1 then
  return {'RESTORING'}
end
local pointer = redis.call('GET', KEYS[1])
if (pointer and cjson.decode(pointer).rev or 0) ~= tonumber(ARGV[1]) then
  return {'POINTER'}
end
if redis.call('EXISTS', KEYS[2]) == 1 then
  return {'RUNS'}
end
local function raise_to(key, floor)
  if tonumber(redis.call('GET', key) or '0') < tonumber(floor) then
    redis.call('SET', key, floor)
  end
end
redis.call('DEL', KEYS[1])
redis.call('SET', KEYS[5], ARGV[2])
raise_to(KEYS[3], ARGV[3])
raise_to(KEYS[4], ARGV[4])
for i = 5, #ARGV, 2 do
  redis.call('HSET', KEYS[2], ARGV[i], ARGV[i + 1])
end
return {'STARTED'}
