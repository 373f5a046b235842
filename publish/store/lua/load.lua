-- Up to some hundred records of one run. KEYS: position, st, seen, erased, erased_in, and the bucket hash of each group of records.
-- ARGV after the position's: seqs (4 bytes each; only the first when they are consecutive), how many records each group has
-- (2 bytes each), records known to be of erased users (place from 0 in 2 bytes, hash in 16), then user and payload of each
-- record. Everything or, when fenced or when a user turns out to be erased, nothing is written.
local st = redis.call('HMGET', KEYS[2], 'state', 'count')
if not st[1] then
  return {'NO_BEGIN'}
end
if st[1] ~= 'LOADING' then
  move()
  return {'FENCED', st[1]}
end
local number, hashes = (#ARGV - 8) / 2, {}
for at = 1, #ARGV[8], 18 do
  hashes[struct.unpack('>I2', ARGV[8], at) + 1] = string.sub(ARGV[8], at + 2, at + 17)
end
if redis.call('EXISTS', KEYS[4]) == 1 then
  local users, reply = {}, {'ERASED'}
  for i = 1, number do
    users[i] = ARGV[7 + 2 * i]
  end
  for i, erased in ipairs(redis.call('SMISMEMBER', KEYS[4], unpack(users))) do
    if erased == 1 and not hashes[i] then
      reply[#reply + 1] = i - 1
    end
  end
  if #reply > 1 then
    return reply
  end
end

local count, fresh = tonumber(st[2]), 0
local consecutive, first = #ARGV[6] == 4, struct.unpack('>I4', ARGV[6])
local function seq_of(i)
  return consecutive and first + i - 1 or struct.unpack('>I4', ARGV[6], 4 * i - 3)
end
local function came_again(i)
  return 'user ' .. ARGV[7 + 2 * i] .. ' came again as seq ' .. seq_of(i)
end
local function twice_in(from, to)
  local met = {}
  for i = from, to do
    local user = ARGV[7 + 2 * i]
    if met[user] then
      return came_again(i)
    end
    met[user] = true
  end
end
-- The usual case needs few commands: consecutive seqs, none seen before, no user erased.
local all_new = consecutive and not next(hashes) and first + number <= count and claim(first, number)

-- Stores the hash of record i, of an erased user, instead of its list; returns false if it contradicts another record.
local function fits_erasure(key, i, new)
  local user = ARGV[7 + 2 * i]
  local hash, list = redis.call('HGET', KEYS[5], user), redis.call('HGET', key, user)
  local known = hash == hashes[i] or not hash and list == ARGV[8 + 2 * i]
  if new and (hash or list) or not new and not known then
    return false
  end
  redis.call('HDEL', key, user)
  redis.call('HSET', KEYS[5], user, hashes[i])
  return true
end

-- Stores record i alone; returns the contradiction, if any.
local function fault_of(key, i)
  local seq, user, payload = seq_of(i), ARGV[7 + 2 * i], ARGV[8 + 2 * i]
  if seq >= count then
    return 'seq ' .. seq .. ' of user ' .. user .. ' lies beyond the announced count ' .. st[2]
  end
  local new, fits = all_new or redis.call('SETBIT', KEYS[3], seq, 1) == 0, false
  if hashes[i] then
    fits = fits_erasure(key, i, new)
  elseif new then
    fits = redis.call('HSETNX', key, user, payload) == 1
  else
    fits = redis.call('HGET', key, user) == payload
  end
  if new and not fits then
    return came_again(i)
  end
  if not fits then
    return 'seq ' .. seq .. ' came twice with different content, the second time for user ' .. user
  end
  fresh = fresh + (new and 1 or 0)
end

local done = 0
for group = 1, #ARGV[7] / 2 do
  local key, size, why = KEYS[5 + group], struct.unpack('>I2', ARGV[7], 2 * group - 1), nil
  if all_new and redis.call('EXISTS', key) == 0 then
    -- In an empty bucket, only a user who is in this group twice can be a duplicate.
    if redis.call('HSET', key, unpack(ARGV, 9 + 2 * done, 8 + 2 * (done + size))) < size then
      why = twice_in(done + 1, done + size)
    end
    fresh = fresh + size
  else
    for i = done + 1, done + size do
      why = why or fault_of(key, i)
    end
  end
  if why then
    redis.call('HSET', KEYS[2], 'state', 'FAILED', 'reason', why, 'touched', ARGV[5])
    move()
    return {'CONFLICT', why}
  end
  done = done + size
end
redis.call('HINCRBY', KEYS[2], 'loaded', fresh)
redis.call('HSET', KEYS[2], 'touched', ARGV[5])
move()
return {'LOADED', fresh}
