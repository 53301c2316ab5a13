-- A batch of operations on one key, in order, atomically.
--
-- KEYS  1 epoch of the shard   2 state of the key   3 requests in flight
-- ARGV  fingerprint of the tiers, time of the last write this process has seen in the shard, lease, fresh, number of tiers,
--       then per tier: kind, limit, per, requests; then the operations. Times are microseconds.
-- Reply time of the last write, epoch, time, then what the operations answer; {-1} if the tiers of the others are different.
--
-- A request in flight is a member of KEYS[3] by the end of its lease: "h<cost>.<id>" while the partner may not have
-- counted it, "c<cost>.<id>" after, where a tier limits requests in flight.
local WINDOW, BUCKET, FLIGHT, FIXED = 1, 2, 3, 4
local CELLS = 64
local HUGE = 2 ^ 53
local floor, ceil, max, min = math.floor, math.ceil, math.max, math.min

local p = 0
local function arg()
  p = p + 1
  return ARGV[p]
end
local function num() return tonumber(arg()) end

local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]

local fingerprint, seen, lease, fresh, tiers = arg(), num(), num(), arg() == '1', num()
local spec, longest, flights = {}, 0, false
for i = 1, tiers do
  local s = {kind = num(), limit = num(), per = num(), requests = num()}
  if s.kind == WINDOW then
    s.sub = max(1, ceil(s.per / CELLS))
    s.life, s.full = s.per + s.sub, s.per
  elseif s.kind == FIXED then
    s.sub, s.life, s.full = s.per, s.per, s.per
  elseif s.kind == BUCKET then
    s.full = ceil(s.limit / s.requests * s.per)
  else
    s.full, flights = 0, true
  end
  longest = max(longest, s.full)
  spec[i] = s
end
local ttl = longest * 2 + lease * 3 + 60000000

-- The epoch: when what came before was lost, 0 for never. Redis' clock does not go back.
local e, epoch = redis.call('GET', KEYS[1]), 0
local dirty = false
if e then
  e = cmsgpack.unpack(e)
  if e[1] ~= fingerprint then return {-1} end
  now, epoch = max(now, e[2]), e[3]
  if e[2] < seen then -- an older copy of the data
    now = max(now, seen)
    epoch, dirty = now, true
  end
else
  now = max(now, seen)
  if not fresh then epoch = now end
  dirty = true
end

local raw = redis.call('GET', KEYS[2])
local s
if raw then
  s = cmsgpack.unpack(raw)
else
  s = {held = 0, parked = 0, nx = HUGE, t = {}}
  for i = 1, tiers do
    s.t[i] = {cut = 0, foreign = 0, fend = 0, seen = -HUGE}
    local t = s.t[i]
    if spec[i].sub then
      t.c, t.u, t.x = {}, 0, HUGE
    elseif spec[i].kind == BUCKET then
      t.m, t.b = 0, 0
    end
  end
end
for i = 1, tiers do
  local t = s.t[i]
  t.limit, t.rate = spec[i].limit, 0
  if t.cut > 0 then t.limit = min(t.limit, t.cut) end
  if spec[i].kind == BUCKET then
    t.rate = spec[i].requests / spec[i].per
    if t.cut > 0 then t.rate = min(spec[i].requests, t.cut) / spec[i].per end
  end
end
local count
local function inflight()
  if not count then count = redis.call('ZCARD', KEYS[3]) end
  return count
end

-- What a bucket lacks. One that was charged for a time to come lacks more now.
local function lacks(t, at) return max(0, t.m - (at - t.b) * t.rate) end

local function charge(at, cost)
  dirty = true
  for i = 1, tiers do
    local sp, t = spec[i], s.t[i]
    if sp.sub then
      local c = floor(at / sp.sub)
      local ends = c * sp.sub + sp.life
      if ends > now then
        t.c[c] = (t.c[c] or 0) + cost
        t.u = t.u + cost
        t.x = min(t.x, ends)
      end
    elseif sp.kind == BUCKET then
      at = max(at, t.b)
      t.m, t.b = min(t.limit, lacks(t, at) + cost), at
    end
  end
end

for i = 1, tiers do
  local sp, t = spec[i], s.t[i]
  if sp.sub and t.x <= now then
    t.x = HUGE
    for c, n in pairs(t.c) do
      local ends = c * sp.sub + sp.life
      if ends <= now then
        t.c[c] = nil
        t.u = t.u - n
      else
        t.x = min(t.x, ends)
      end
    end
  end
  if t.foreign > 0 and t.fend <= now then t.foreign = 0 end
end

-- Leases that were not renewed: what is held is charged at their end, the latest time at which it can have arrived.
while s.nx <= now do
  dirty = true
  local late = redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', now, 'WITHSCORES', 'LIMIT', 0, 500)
  for i = 1, #late, 2 do
    local kind, cost = string.match(late[i], '^(.)(%d+)')
    if kind == 'h' then
      s.held = s.held - cost
      charge(tonumber(late[i + 1]), tonumber(cost))
    end
    redis.call('ZREM', KEYS[3], late[i])
  end
  count = nil
  local first = redis.call('ZRANGE', KEYS[3], 0, 0, 'WITHSCORES')
  s.nx = tonumber(first[2]) or HUGE
end

local function shut(i)
  if epoch == 0 then return 0 end
  return epoch + spec[i].full + lease
end

local function room(i)
  local sp, t = spec[i], s.t[i]
  if sp.kind == FLIGHT then return t.limit - inflight() end
  if sp.kind == BUCKET then return floor(t.limit - lacks(t, now) + 1e-6) - s.held - t.foreign end
  return t.limit - t.u - s.held - t.foreign
end

-- When need of what is charged is free again, and how much is missing.
local function freed(i, need)
  if need <= 0 then return 0, 0 end
  local sp, t, cells, at = spec[i], s.t[i], {}, 0
  for c in pairs(t.c) do cells[#cells + 1] = c end
  table.sort(cells)
  for _, c in ipairs(cells) do
    if need <= 0 then break end
    need = need - t.c[c]
    at = c * sp.sub + sp.life
  end
  return at, max(0, need)
end

-- The earliest time at which n more may be spent; nil when a request in flight has to end first.
local function when(i, n)
  local sp, t = spec[i], s.t[i]
  if sp.kind == FLIGHT then return nil end
  if sp.kind == BUCKET then
    if min(n, t.limit) + s.held > t.limit then return nil end
    return now + ceil((n + s.held + t.foreign - t.limit + lacks(t, now)) / t.rate)
  end
  local rounds = floor((n - 1) / t.limit)
  n = n - rounds * t.limit
  local need = n - room(i)
  local at, missing = freed(i, need)
  if t.foreign > 0 and (missing > 0 or at > t.fend) then
    local with, still = freed(i, need - t.foreign)
    with = max(with, t.fend)
    if missing > 0 or with < at then at, missing = with, still end
  end
  if missing > 0 then return nil end
  return max(at, now) + rounds * sp.per
end

-- Answers 1 admitted, 2 refused until a time, 3 refused until a request in flight ends, 4 cost above the limit in
-- force; then the wait, and the tier: 0 for parked.
local function ask(cost, ahead)
  local fits, n = s.parked <= now, cost + ahead
  for i = 1, tiers do
    local want = n
    if spec[i].kind == FLIGHT then want = 1 + min(ahead, 1) end
    fits = fits and shut(i) <= now and room(i) >= want
  end
  if fits then return 1, 0, 0 end
  local open, tier, at = false, 0, now
  for i = 1, tiers do
    local flight = spec[i].kind == FLIGHT
    local want = n
    if flight then want = 1 + min(ahead, 1) end
    if shut(i) > now or room(i) < want then
      if not flight and cost > s.t[i].limit then return 4, 0, i end
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
  if s.parked > at or tier == 0 then tier, at = 0, max(at, s.parked) end
  if open and at <= now then return 3, 0, tier end
  return 2, max(1, at - now), tier
end

local added = false
local function fly(member)
  dirty, added = true, true
  s.nx = min(s.nx, now + lease)
  local new = redis.call('ZADD', KEYS[3], now + lease, member)
  if count then count = count + new end
  return new == 1
end
local function land(member)
  if redis.call('ZREM', KEYS[3], member) == 0 then return false end
  dirty = true
  if count then count = count - 1 end
  return true
end

local reply = {e and e[2] or now, epoch, now}
local function answer(...)
  for _, v in ipairs({...}) do reply[#reply + 1] = v end
end

while p < #ARGV do
  local op = arg()
  if op == 'T' then -- take: id, cost, ahead
    local id, cost, ahead = arg(), arg(), num()
    local n = tonumber(cost)
    local code, wait, tier = ask(n, ahead)
    if code == 1 and fly('h' .. cost .. '.' .. id) then s.held = s.held + n end
    answer(code, wait, tier)
  elseif op == 'Q' then -- ask: cost, ahead
    local cost, ahead = num(), num()
    answer(ask(cost, ahead))
  elseif op == 'A' then -- arrived: id, cost, age, 1 if it ended too
    local id, cost, age, ended = arg(), arg(), num(), arg() == '1'
    if land('h' .. cost .. '.' .. id) then s.held = s.held - cost end
    charge(now - age, tonumber(cost))
    if flights and not ended then fly('c' .. cost .. '.' .. id) end
  elseif op == 'R' then -- ended: id, cost
    local id, cost = arg(), arg()
    if land('h' .. cost .. '.' .. id) then
      s.held = s.held - cost
    else
      land('c' .. cost .. '.' .. id)
    end
  elseif op == 'N' then -- still there: id, cost, 1 if it arrived
    local id, cost, arrived = arg(), arg(), arg() == '1'
    if not arrived then
      if fly('h' .. cost .. '.' .. id) then s.held = s.held + cost end
    elseif flights then
      fly('c' .. cost .. '.' .. id)
    end
  elseif op == 'P' then -- park: for how long, 0 to lift it
    local wait = num()
    dirty = true
    if wait == 0 then s.parked = 0 else s.parked = max(s.parked, now + wait) end
  elseif op == 'O' then -- observed: tier, limit, remaining, age, reset
    local i, limit, remaining, age, reset = num(), num(), num(), num(), num()
    local sp, t = spec[i], s.t[i]
    if now - age >= t.seen then
      dirty = true
      t.seen = now - age
      if limit > 0 then
        local has
        if sp.kind == BUCKET then
          t.b, t.m = max(now, t.b), lacks(t, max(now, t.b))
          has = t.limit - t.m
        end
        t.cut = limit
        t.limit = min(limit, sp.limit)
        if has then
          t.rate = min(limit, sp.requests) / sp.per
          t.m = max(0, t.limit - has)
        end
      end
      if remaining >= 0 then
        t.foreign = 0
        t.foreign = max(0, room(i) - remaining)
        t.fend = now + sp.full
        if reset >= 0 then t.fend = min(t.fend, now + reset) end
      end
    end
  elseif op == 'U' then -- usage
    answer(inflight(), max(0, s.parked - now))
    for i = 1, tiers do
      local t, used = s.t[i], inflight()
      if spec[i].kind ~= FLIGHT then
        used = t.limit - room(i)
        if shut(i) > now then used = max(used, t.limit) end
      end
      answer(t.limit, used)
    end
  end
end

if dirty then
  reply[1] = now
  for i = 1, tiers do s.t[i].limit, s.t[i].rate = nil, nil end
  local keep = ceil(max(ttl, s.parked - now + lease) / 1000)
  redis.call('SET', KEYS[2], cmsgpack.pack(s), 'PX', keep)
  redis.call('SET', KEYS[1], cmsgpack.pack({fingerprint, now, epoch}), 'PX', max(keep, 90 * 86400000))
  if added then redis.call('PEXPIRE', KEYS[3], keep) end
end
return reply
