-- Moves past messages that are not loaded. KEYS: position. ARGV after the position's: messages that count against the
-- run in progress (poison), dead-lettered messages.
move()
if tonumber(ARGV[6]) > 0 then
  redis.call('HINCRBY', KEYS[1], 'poison', ARGV[6])
end
if tonumber(ARGV[7]) > 0 then
  redis.call('HINCRBY', KEYS[1], 'dead', ARGV[7])
end
return {'MOVED'}
