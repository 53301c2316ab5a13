-- A batch of operations on keys of one or several quotas, atomically.
--
-- KEYS  per section: the epoch of a shard, then a hash for each of its keys: field "s" is the state of the key, each other field
--       is what one process has in flight.
-- ARGV  1 numbers, int64 little endian, as they are read below; then per quota: fingerprint of its tiers, nonce of the process,
--       prefix of the channels of processes. Times are microseconds; -ago- is how long ago something was.
-- Reply numbers, int64 little endian: per section {-1} if the tiers of others are different, else {0, time of the last write,
--       epoch, time}, then per key {1} if the batch was done before, else {0} and what its operations answer; at the end
--       what the joint operations answer.
--
-- A process says with every batch what it has in flight on a key: that which was not told of is over. Batches have numbers, so that
-- one that comes late or twice is known.
local WINDOW, BUCKET, FLIGHT, FIXED = 1, 2, 3, 4
local CELLS, HUGE = 64, 2 ^ 53
local WAITS, QUEUE = 3000000, 128
local LONGEST = 10 * 365 * 86400 * 1000000 -- no wait is said to be longer: it has to be a Go duration
-- The state of a tier: what the partner cut the limit to, what others spent, until when, time of the report, until when others are taken
-- to spend; then of a window: charged, end of the oldest cell, newest cell, charged to it, older cells; or of a bucket: lacks, at what time.
local CUT, FOREIGN, FEND, SEEN, OTHERS = 1, 2, 3, 4, 5
local LAYOUT = 2 -- of what is stored of a key: to be raised with every change of it
local USED, NEXT, CELL, NEW, OLD = 6, 7, 8, 9, 10
local LACKS, ASOF = 6, 7
local SCARCE = 8 -- a tier with less than one in so many left is scarce
local floor, ceil, max, min = math.floor, math.ceil, math.max, math.min
local decode, encode, call = struct.unpack, struct.pack, redis.call

local input, p = ARGV[1], 1
local function num()
  local v
  v, p = decode('<i8', input, p)
  return v
end

local time = call('TIME')
local clock = time[1] * 1000000 + time[2]

local quotas = {}
for n = 1, num() do
  local q = {print = ARGV[3 * n - 1], nonce = ARGV[3 * n], channel = ARGV[3 * n + 1], longest = 0}
  q.lease, q.listens, q.n, p = decode('<i8i8i8', input, p)
  for i = 1, q.n do
    local s = {}
    s.kind, s.limit, s.per, s.requests, p = decode('<i8i8i8i8', input, p)
    if s.kind == WINDOW then
      s.sub = max(1, ceil(s.per / CELLS))
      s.life, s.full = s.per + s.sub, s.per
    elseif s.kind == FIXED then
      s.sub, s.life, s.full = s.per, s.per, s.per
    elseif s.kind == BUCKET then
      s.full = ceil(s.limit / s.requests * s.per)
    else
      s.full = 0
    end
    q.longest = max(q.longest, s.full)
    q[i] = s
  end
  q.ttl = q.longest * 2 + q.lease * 3 + 60000000
  quotas[n] = q
end

-- The key in hand: its quota, its section's time and epoch, and what is known of it.
local q, k, now, epoch
local function hold(key)
  q, k, now, epoch = key.q, key, key.section.now, key.section.epoch
end

-- What a bucket lacks. One that was charged for a time to come lacks more now.
local function lacks(i, at)
  local t = k.t[i]
  return max(0, t[LACKS] - (at - t[ASOF]) * k.rate[i])
end

local function charge(at, cost)
  k.dirty = true
  for i = 1, q.n do
    local s, t = q[i], k.t[i]
    if s.sub then
      local c = floor(at / s.sub)
      local ends = c * s.sub + s.life
      if ends > now then
        if t[NEW] == 0 or c == t[CELL] then
          t[CELL], t[NEW] = c, t[NEW] + cost
        elseif c > t[CELL] then
          t[OLD] = t[OLD] .. encode('<i8i8', t[CELL], t[NEW])
          t[CELL], t[NEW] = c, cost
        else -- late
          local old, pos, after, n = t[OLD], 1, 1, 0
          while after <= #old do
            local o, has, next = decode('<i8i8', old, after)
            if o > c then break end
            after = next
            if o == c then
              n = has
              break
            end
            pos = next
          end
          t[OLD] = old:sub(1, pos - 1) .. encode('<i8i8', c, n + cost) .. old:sub(after)
        end
        t[USED] = t[USED] + cost
        t[NEXT] = min(t[NEXT], ends)
      end
    elseif s.kind == BUCKET then
      local at = max(at, t[ASOF])
      t[LACKS], t[ASOF] = min(k.limit[i], lacks(i, at) + cost), at
    end
  end
end

-- What has left the windows.
local function expire()
  for i = 1, q.n do
    local s, t = q[i], k.t[i]
    if s.sub and t[NEXT] <= now then
      local old, at, first = t[OLD], 1, nil
      while at <= #old do
        local c, n, after = decode('<i8i8', old, at)
        if c * s.sub + s.life > now then
          first = c
          break
        end
        t[USED], at = t[USED] - n, after
      end
      t[OLD] = old:sub(at)
      if not first and t[NEW] > 0 then
        first = t[CELL]
        if first * s.sub + s.life <= now then
          t[USED], t[NEW], first = t[USED] - t[NEW], 0, nil
        end
      end
      t[NEXT] = first and first * s.sub + s.life or HUGE
    end
    if t[FOREIGN] > 0 and t[FEND] <= now then t[FOREIGN] = 0 end
  end
end

-- Leases that were not renewed: what is held is charged at their end, the latest time at which it can have arrived.
local function leases()
  local all = call('HGETALL', k.name)
  k.nx, k.dirty, k.gone = HUGE, true, {}
  for j = 1, #all, 2 do
    if all[j] ~= 's' then
      local _, held, count, ends = decode('<i8i8i8i8', all[j + 1])
      if ends <= now then
        k.gone[#k.gone + 1] = all[j]
        k.held, k.count, k.freed = k.held - held, k.count - count, k.freed or held + count > 0
        if held > 0 then charge(ends, held) end
        if all[j] == q.nonce then k.own = false end
      else
        k.nx = min(k.nx, ends)
      end
    end
  end
end

-- load takes up a key and what the process says of it; false if it said so before.
local function load(section, name, seq, held, count)
  local key = {q = section.q, section = section, name = name, limit = {}, rate = {}, seq = seq, mine = held, flights = count}
  hold(key)
  local got = call('HMGET', name, 's', q.nonce)
  k.own = got[2]
  local s = got[1] and cmsgpack.unpack(got[1])
  if s and s[9] ~= LAYOUT then -- of another version of this script: as if it were lost
    call('DEL', k.name)
    s, k.own, epoch, section.epoch, section.dirty = nil, false, now, now, true
  end
  if s then
    k.parked, k.nx, k.held, k.count, k.ends, k.queue, k.t, k.next = s[1], s[2], s[3], s[4], s[5], s[6], s[7], s[8]
  else
    k.parked, k.nx, k.held, k.count, k.ends, k.queue, k.t, k.next = 0, HUGE, 0, 0, 0, {}, {}, 0
    for i = 1, q.n do
      if q[i].sub then
        k.t[i] = {0, 0, 0, -HUGE, 0, 0, HUGE, 0, 0, ''}
      else
        k.t[i] = {0, 0, 0, -HUGE, 0, 0, 0}
      end
    end
  end
  for i = 1, q.n do
    local s, cut = q[i], k.t[i][CUT]
    k.limit[i] = s.limit
    if cut > 0 then k.limit[i] = min(s.limit, cut) end
    if s.kind == BUCKET then k.rate[i] = (cut > 0 and min(s.requests, cut) or s.requests) / s.per end
  end
  expire()
  if k.nx <= now then leases() end
  if k.own then
    local last, h, c = decode('<i8i8i8', k.own)
    if last >= seq then return false end
    if held ~= h or count ~= c then
      k.held, k.count, k.dirty = k.held + held - h, k.count + count - c, true
      k.freed = k.freed or held < h or count < c
    end
  else
    k.held, k.count = k.held + held, k.count + count
  end
  if held > 0 or count > 0 then k.dirty = true end -- the lease
  return true
end

local function shut(i)
  if epoch == 0 then return 0 end
  return epoch + q[i].full + q.lease
end

local function room(i)
  local s, t = q[i], k.t[i]
  if s.sub then return k.limit[i] - t[USED] - k.held - t[FOREIGN] end
  if s.kind == FLIGHT then return k.limit[i] - k.count end
  return floor(k.limit[i] - lacks(i, now) + 1e-6) - k.held - t[FOREIGN]
end

-- When need of what is charged is free again, and how much is missing.
local function freed(i, need)
  local s, t, at, pos = q[i], k.t[i], 0, 1
  while need > 0 and pos <= #t[OLD] do
    local c, n
    c, n, pos = decode('<i8i8', t[OLD], pos)
    need, at = need - n, c * s.sub + s.life
  end
  if need > 0 and t[NEW] > 0 then need, at = need - t[NEW], t[CELL] * s.sub + s.life end
  return at, max(0, need)
end

-- The earliest time at which n more may be spent; nil when a request in flight has to end first.
local function when(i, n)
  local s, t, limit = q[i], k.t[i], k.limit[i]
  if s.kind == FLIGHT then return nil end
  if s.kind == BUCKET then
    if min(n, limit) + k.held > limit then return nil end
    return now + ceil((n + k.held + t[FOREIGN] - limit + lacks(i, now)) / k.rate[i])
  end
  local rounds = floor((n - 1) / limit)
  n = n - rounds * limit
  local need = n - room(i)
  local at, missing = freed(i, need)
  if t[FOREIGN] > 0 and (missing > 0 or at > t[FEND]) then
    local with, still = freed(i, need - t[FOREIGN])
    with = max(with, t[FEND])
    if missing > 0 or with < at then at, missing = with, still end
  end
  if missing > 0 then return nil end
  return max(at, now) + rounds * s.per
end

-- How far apart calls are to be while others spend and little is left, so that each answer tells before the next call goes; 0 when there
-- is no need. And the tier that wants it.
local function scarce()
  local apart, tier = 0, 0
  for i = 1, q.n do
    local s, t = q[i], k.t[i]
    if s.sub and t[FOREIGN] > 0 and now < t[OTHERS] and now < t[FEND] then
      local left = max(0, room(i))
      if left <= k.limit[i] / SCARCE then
        local a = min((t[FEND] - now) / (left + 1), s.per / SCARCE)
        if a > apart then apart, tier = a, i end
      end
    end
  end
  return apart, tier
end

-- Answers 1 admitted, 2 refused until a time, 3 refused until a request in flight ends, 4 cost above the limit in
-- force; then the wait, and the tier: 0 for parked.
local function ask(cost, ahead)
  local fits, n = k.parked <= now, cost + ahead
  for i = 1, q.n do
    local want = q[i].kind == FLIGHT and 1 + min(ahead, 1) or n
    fits = fits and room(i) >= want and shut(i) <= now
  end
  if fits then
    local apart, tier = scarce()
    local at = ceil(min(k.next, now + apart) + apart * ahead)
    if apart > 0 and at > now then return 2, at - now, tier end
    return 1, 0, 0
  end
  local open, tier, at = false, 0, now
  for i = 1, q.n do
    local flight = q[i].kind == FLIGHT
    local want = flight and 1 + min(ahead, 1) or n
    if shut(i) > now or room(i) < want then
      if not flight and cost > k.limit[i] then return 4, 0, i end
      local t = shut(i)
      local waits = false
      if room(i) < want then
        local w = when(i, n)
        waits = not w and t <= now
        t = max(t, w or now)
      end
      if tier == 0 or waits and not open or waits == open and t > at then tier = i end
      open, at = open or waits, max(at, t)
    end
  end
  if k.parked > at or tier == 0 then tier, at = 0, max(at, k.parked) end
  if open and at <= now then return 3, 0, tier end
  return 2, max(1, min(at - now, LONGEST)), tier
end

local function admit(cost)
  for j = #k.queue - 1, 1, -2 do -- it waits no more, or asks again at once
    if k.queue[j] == q.nonce then
      table.remove(k.queue, j)
      table.remove(k.queue, j)
    end
  end
  local apart = scarce()
  k.next = apart > 0 and ceil(max(min(k.next, now + apart), now) + apart * cost) or 0
  k.mine, k.flights, k.held, k.count, k.dirty = k.mine + cost, k.flights + 1, k.held + cost, k.count + 1, true
end

-- enqueue has the process told when room is given back, at most until it asks again by itself.
local function enqueue(code, wait)
  if q.listens == 0 then return end
  local life, w = WAITS, k.queue
  if code == 2 then life = wait + ceil(wait / 4) + 100000 end
  local kept = {}
  for j = 1, #w, 2 do
    if w[j] == q.nonce then
      if w[j + 1] - now > life / 2 then return end
    elseif w[j + 1] > now then
      kept[#kept + 1], kept[#kept + 2] = w[j], w[j + 1]
    end
  end
  if #kept < 2 * QUEUE then
    kept[#kept + 1], kept[#kept + 2] = q.nonce, now + life
    k.queue, k.dirty = kept, true
  end
end

-- wake tells as many of the processes that wait as there is room for, those first that have waited longest.
local function wake()
  local w = k.queue
  if #w == 0 or not k.freed or k.parked > now then return end
  local n = HUGE
  for i = 1, q.n do
    if shut(i) > now then return end
    n = min(n, room(i))
  end
  local j = 1
  while j <= #w and n > 0 do
    if w[j + 1] > now then
      redis.pcall('PUBLISH', q.channel .. w[j], k.name) -- a user who may not: then it is not told
      n = n - 1
    end
    j = j + 2
  end
  if j > 1 then
    local rest = {}
    for r = j, #w do rest[#rest + 1] = w[r] end
    k.queue, k.dirty = rest, true
  end
end

local function store()
  wake()
  if not k.dirty then return end
  local section = k.section
  local keep = max(q.ttl, k.parked - now + q.lease)
  section.dirty, section.keep = true, max(section.keep, keep)
  local renew = k.ends < now + keep
  if renew then k.ends = now + keep + ceil(keep / 4) end
  k.nx = min(k.nx, now + q.lease)
  call('HSET', k.name, 's', cmsgpack.pack({k.parked, k.nx, k.held, k.count, k.ends, k.queue, k.t, k.next, LAYOUT}),
    q.nonce, encode('<i8i8i8i8', k.seq, k.mine, k.flights, now + q.lease))
  for _, nonce in ipairs(k.gone or {}) do
    if nonce ~= q.nonce then call('HDEL', k.name, nonce) end
  end
  if renew then call('PEXPIRE', k.name, ceil((k.ends - now) / 1000)) end
end

-- A partner's report on a tier; before its answer the process had flying in flight. Whether the partner has counted what is in flight but the
-- answered request (which costs one at least), nobody knows: it is taken as counted while nobody else is seen to spend, else as still to come.
local function observe(i, limit, remaining, ago, reset, flying)
  local s, t = q[i], k.t[i]
  if now - ago < t[SEEN] then return end
  k.dirty, k.freed = true, true
  t[SEEN] = now - ago
  if limit > 0 then
    local has
    if s.kind == BUCKET then
      local at = max(now, t[ASOF])
      t[LACKS], t[ASOF] = lacks(i, at), at
      has = k.limit[i] - t[LACKS]
    end
    t[CUT] = limit
    k.limit[i] = min(limit, s.limit)
    if has then
      k.rate[i] = min(limit, s.requests) / s.per
      t[LACKS] = max(0, k.limit[i] - has)
    end
  end
  if remaining >= 0 then
    t[FOREIGN] = 0
    local least = room(i) - remaining
    if least > 0 then t[OTHERS] = now + s.per end
    if now < t[OTHERS] then least = least + k.held - k.mine + max(0, flying - 1) end
    t[FOREIGN] = max(0, least)
    t[FEND] = now + s.full
    if reset >= 0 then t[FEND] = min(t[FEND], now + reset) end
    local apart = scarce()
    if apart > 0 then k.next = ceil(min(max(k.next, now), now + apart)) end
  end
end
