-- Writes missing history entries: for a pointer that has none, or for a loss of Redis. KEYS after the history's: ptr,
-- restoring. ARGV: the pointer of a product that never served ('' unless this product had another one), why, who, the moment
-- in a simulation ('').
local pointer = redis.call('GET', KEYS[3])
if pointer then
  catch_up(cjson.decode(pointer), ARGV[4])
elseif ARGV[1] ~= '' and redis.call('EXISTS', KEYS[4]) == 0 then
  write_down_loss(ARGV[1], ARGV[2], ARGV[3], ARGV[4])
end
