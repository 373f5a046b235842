-- Writes back what Kafka kept of a product whose Redis was lost: all of it or nothing. KEYS after the history's: ptr, runs,
-- epoch, lease:token, restoring. ARGV: revision of the pointer that may be there (it names no run), the pointer to
-- restore, floor of the epoch, floor of the lease token; the pointer of a product that never served ('' if this one never
-- did), why and who, for the entry that nothing is served; entries that Kafka's history has (JSON array of texts), and
-- entries that it lacks (likewise); then pairs of field and value of `runs`.
if redis.call('EXISTS', KEYS[7]) == 1 then
  return {'RESTORING'}
end
local pointer = redis.call('GET', KEYS[3])
if (pointer and cjson.decode(pointer).rev or 0) ~= tonumber(ARGV[1]) then
  return {'POINTER'}
end
if redis.call('EXISTS', KEYS[4]) == 1 then
  return {'RUNS'}
end
local function raise_to(key, floor)
  if tonumber(redis.call('GET', key) or '0') < tonumber(floor) then
    redis.call('SET', key, floor)
  end
end
if ARGV[5] ~= '' then
  write_down_loss(ARGV[5], ARGV[6], ARGV[7])
end
local since_the_loss = redis.call('LRANGE', HISTORY, 0, -1)
redis.call('LTRIM', HISTORY, 1, 0)
for _, entry in ipairs(cjson.decode(ARGV[8])) do
  keep(entry)
end
for _, entry in ipairs(cjson.decode(ARGV[9])) do
  keep(entry)
  redis.call('RPUSH', UNSENT, entry)
end
for _, entry in ipairs(since_the_loss) do
  keep(entry)
end
redis.call('DEL', KEYS[3])
redis.call('SET', KEYS[7], ARGV[2])
raise_to(KEYS[5], ARGV[3])
raise_to(KEYS[6], ARGV[4])
for i = 10, #ARGV, 2 do
  redis.call('HSET', KEYS[4], ARGV[i], ARGV[i + 1])
end
return {'STARTED'}
