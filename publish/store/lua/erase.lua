-- Deletes the list of an erased user from one run. KEYS: bucket hash, erased_in. ARGV: user, payload that the hash was
-- computed from, hash. Answers 0 and changes nothing when the list is another one by now.
if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then
  return 0
end
redis.call('HDEL', KEYS[1], ARGV[1])  -- first: a full Redis allows this, and then what follows in the same script
redis.call('HSET', KEYS[2], ARGV[1], ARGV[3])
return 1
