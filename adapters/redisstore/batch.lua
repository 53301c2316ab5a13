-- What a batch says and asks, in order; and what it changes. Continues count.lua.
local reply, keys, sections, name = {}, {}, {}, 0

for n = 1, num() do
  local index, seen, fresh, count
  index, seen, fresh, count, p = decode('<i8i8i8i8', input, p)
  name = name + 1
  local section = {q = quotas[index], name = KEYS[name], now = max(clock, seen), epoch = 0, keep = quotas[index].ttl}
  sections[n] = section
  -- The epoch: when what came before was lost, 0 for never. Redis' clock does not go back.
  local e = call('GET', section.name)
  if e then
    e = cmsgpack.unpack(e)
    section.last, section.now, section.epoch = e[2], max(section.now, e[2]), e[3]
    if e[1] ~= section.q.print then
      section.foreign = true
    elseif e[2] < seen then -- an older copy of the data
      section.epoch, section.dirty = section.now, true
    end
  else
    if fresh == 0 then section.epoch = section.now end
    section.dirty = true
  end
  reply[#reply + 1] = ''
  section.reply = #reply
  for _ = 1, count do
    local ends, seq, held, flights, arrivals
    name = name + 1
    ends, seq, held, flights, arrivals, p = decode('<i8i8i8i8i8', input, p)
    keys[#keys + 1] = false
    if section.foreign then
      p = ends
    elseif not load(section, KEYS[name], seq, held, flights) then
      reply[#reply + 1] = encode('<i8', 1)
      p = ends
    else
      keys[#keys] = k
      reply[#reply + 1] = encode('<i8', 0)
      for _ = 1, arrivals do
        local cost, ago
        cost, ago, p = decode('<i8i8', input, p)
        charge(now - ago, cost)
      end
      while p < ends do
        local op = num()
        if op == 1 or op == 2 then -- take, ask: cost, ahead
          local cost, ahead
          cost, ahead, p = decode('<i8i8', input, p)
          local code, wait, tier = ask(cost, ahead)
          if op == 1 then
            if code == 1 then
              admit(cost)
            elseif code ~= 4 then
              enqueue(code, wait)
            end
          end
          reply[#reply + 1] = encode('<i8i8i8', code, wait, tier)
        elseif op == 3 then -- park: for how long, 0 to lift it
          local wait = num()
          k.dirty = true
          if wait == 0 then
            k.parked, k.freed = 0, true
          else
            k.parked = max(k.parked, now + wait)
          end
        elseif op == 4 then -- observed: tier, limit, remaining, ago, reset, in flight before
          local i, limit, remaining, ago, reset, flying
          i, limit, remaining, ago, reset, flying, p = decode('<i8i8i8i8i8i8', input, p)
          observe(i, limit, remaining, ago, reset, flying)
        else -- usage
          reply[#reply + 1] = encode('<i8i8', k.count, max(0, k.parked - now))
          for i = 1, q.n do
            local used = k.count
            if q[i].kind ~= FLIGHT then
              used = k.limit[i] - room(i)
              if shut(i) > now then used = max(used, k.limit[i]) end
            end
            reply[#reply + 1] = encode('<i8i8', k.limit[i], used)
          end
        end
      end
    end
  end
end

-- Takes of several keys: all admit, or none is spent. Number of keys; per key its index, cost, ahead. Answers for each key as a take
-- does; 0 if the key was not taken up.
for _ = 1, num() do
  local parts, all = {}, true
  for n = 1, num() do
    local index, part
    part = {}
    index, part.cost, part.ahead, p = decode('<i8i8i8', input, p)
    part.key, part.code, part.wait, part.tier = keys[index], 0, 0, 0
    if part.key then
      hold(part.key)
      part.code, part.wait, part.tier = ask(part.cost, part.ahead)
    end
    all = all and part.code == 1
    parts[n] = part
  end
  for _, part in ipairs(parts) do
    if part.key then
      hold(part.key)
      if all then
        admit(part.cost)
      elseif part.code == 2 or part.code == 3 then
        enqueue(part.code, part.wait)
      end
    end
    reply[#reply + 1] = encode('<i8i8i8', part.code, part.wait, part.tier)
  end
end

for i = 1, #keys do
  if keys[i] then
    hold(keys[i])
    store()
  end
end
for _, s in ipairs(sections) do
  if s.foreign then
    reply[s.reply] = encode('<i8', -1)
  else
    if s.dirty then
      s.last = s.now
      call('SET', s.name, cmsgpack.pack({s.q.print, s.now, s.epoch}), 'PX', ceil(max(s.keep / 1000, 90 * 86400000)))
    end
    reply[s.reply] = encode('<i8i8i8i8', 0, s.last, s.epoch, s.now)
  end
end
return table.concat(reply)
