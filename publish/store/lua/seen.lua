-- Sets `number` bits of the bitmap KEYS[3] from bit `first` on (the most significant of a byte comes first, as for SETBIT)
-- when none of them is set; otherwise changes nothing and returns false.
local function claim(first, number)
  local last = first + number - 1
  local from, to = math.floor(first / 8), math.floor(last / 8)
  local masks = string.rep('\255', to - from + 1)
  local head, tail = bit.rshift(255, first % 8), bit.band(bit.lshift(255, 7 - last % 8), 255)
  local held = redis.call('GETRANGE', KEYS[3], from, to)
  held = held .. string.rep('\0', #masks - #held)
  local left, right = string.byte(held, 1), string.byte(held, -1)
  if from == to then
    head = bit.band(head, tail)
    tail = head
  end
  if bit.band(left, head) ~= 0 or bit.band(right, tail) ~= 0 then
    return false
  end
  if string.sub(held, 2, -2) ~= string.rep('\0', #masks - 2) then
    return false
  end
  local bits = string.char(bit.bor(left, head))
  if to > from then
    bits = bits .. string.sub(masks, 2, -2) .. string.char(bit.bor(right, tail))
  end
  redis.call('SETRANGE', KEYS[3], from, bits)
  return true
end
