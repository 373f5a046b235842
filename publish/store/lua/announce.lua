-- Writes a run into the registry, once. KEYS: runs, lease, epoch. ARGV: run, announcement, its state, epoch, fencing
-- token that the lease must still have ('' for no check).
local known = redis.call('HGET', KEYS[1], ARGV[1])
if known then
  if known == ARGV[2] then
    return {'KNOWN'}
  end
  return {'OTHER'}
end
local lease = redis.call('GET', KEYS[2])
if ARGV[5] ~= '' and (not lease or tostring(cjson.decode(lease).token) ~= ARGV[5]) then
  return {'LEASE'}
end
if tonumber(redis.call('GET', KEYS[3]) or '0') < tonumber(ARGV[4]) then
  return {'EPOCH'}
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2], ARGV[1] .. ':state', ARGV[3])
return {'ANNOUNCED'}
