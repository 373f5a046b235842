-- A run begins in this partition. KEYS: position, st. ARGV after the position's: run, count, digest, bytes.
local state = redis.call('HGET', KEYS[2], 'state')
if not state then
  redis.call('HSET', KEYS[2], 'state', 'LOADING', 'count', ARGV[7], 'digest', ARGV[8], 'bytes', ARGV[9],
    'loaded', 0, 'since', ARGV[5], 'touched', ARGV[5])
  redis.call('HSET', KEYS[1], 'run', ARGV[6], 'poison', 0)
  state = 'BEGUN'
end
move()
return {state}
