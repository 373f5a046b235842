-- Ends a run in one partition: no loader writes there any more. KEYS: st. ARGV: state, reason, time.
local state = redis.call('HGET', KEYS[1], 'state')
if state == 'LOADING' or state == 'VERIFIED' then
  redis.call('HDEL', KEYS[1], '-')  -- a full Redis allows this, and then what follows in the same script
  redis.call('HSET', KEYS[1], 'state', ARGV[1], 'reason', ARGV[2], 'touched', ARGV[3])
end
return state
