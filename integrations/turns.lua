-- One budget: every window, the places, the stop and the block of one vendor account, judged at once.
--
-- KEYS  1 the budget's name, then the log of each window (sorted set of turns, by when they were given)
-- ARGV  1 verb, 2 the budget, 3 what the verb needs; 2 and 3 are JSON
--
-- Other names are made of these, for the script runs on one Redis, not on a cluster:
--   <budget>:stop       until when nothing may be sent
--   <budget>:block      since when we are shut out, and when the next call may try (hash)
--   <budget>:places     the holders of places, by the end of their lease (sorted set)
--   <budget>:parties    who draws from it, by when they last asked (sorted set)
--   <budget>:waiting:*  who was told to come back when, by class and party (sorted set)
--   <budget>:paced:*    when a class that is slowed had its last turn
--   <log>:since         from when on the log is complete
--   <log>:plan          the most that the vendor has said to be left (hash)
--   <log>:spent         that the window was used up, and is counted anew since the stop has ended
--   <log>:had           what each party has had of it lately (hash)
--
-- All times are microseconds by the clock of Redis: the workers' own clocks don't matter.

local name, verb = KEYS[1], ARGV[1]
local budget, ask = cjson.decode(ARGV[2]), cjson.decode(ARGV[3])

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])

local stop_key, block_key, places_key = name .. ':stop', name .. ':block', name .. ':places'
local parties_key = name .. ':parties'

-- What stands before the bar is the party that a turn was given to. Turns that only the vendor knows of are nobody's.
local NOBODY = '?|'

-- Lua would write a large number with an exponent.
local function whole(number) return string.format('%.0f', number) end

local function number_in(key) return tonumber(redis.call('GET', key) or 0) end

local function keep_for(key, period) redis.call('PEXPIRE', key, whole(period / 1000 + 1000)) end

-- The most that the vendor has said to be left in this period of ours and the one before: in any two, its count began anew at
-- least once. 0: it said nothing.
local function most_said(spec, log)
  local epoch, present, before = unpack(redis.call('HMGET', log .. ':plan', 'epoch', 'now', 'before'))
  local over = epoch and math.floor(now / spec.period) - tonumber(epoch) or 2
  if over == 0 then return math.max(tonumber(present), tonumber(before)) end
  return over == 1 and tonumber(present) or 0
end

-- That a plan smaller than the configured one holds shows in what is left: more than the plan allows was never said.
local function learned(spec, log)
  if #spec.plans == 0 then return spec.limit end
  local most = most_said(spec, log)
  if most == 0 then return spec.limit end
  for _, plan in ipairs(spec.plans) do
    if plan >= most then return math.min(plan, spec.limit) end
  end
  return spec.limit
end

local function remember_left(spec, log, left)
  local key, epoch = log .. ':plan', math.floor(now / spec.period)
  local known, present, before = unpack(redis.call('HMGET', key, 'epoch', 'now', 'before'))
  local over = known and epoch - tonumber(known) or 2
  if over == 1 then before = present elseif over ~= 0 then before = 0 end
  local most = over == 0 and math.max(tonumber(present), left) or left
  redis.call('HSET', key, 'epoch', whole(epoch), 'now', whole(most), 'before', whole(tonumber(before)))
  keep_for(key, 2 * spec.period)
end

local function window(index)
  local spec, log = budget.windows[index], KEYS[1 + index]
  local limit, period = learned(spec, log), spec.period
  local since = tonumber(redis.call('GET', log .. ':since') or now)
  redis.call('ZREMRANGEBYSCORE', log, '-inf', whole(now - period))
  -- A log that began within the period may miss turns that were given before Redis was emptied: half of the limit, until
  -- the period is over or the vendor has said what is left.
  local allowed = limit
  if now - since < period then allowed = math.ceil(limit / 2) end
  return {spec = spec, log = log, limit = limit, period = period, since = since, allowed = allowed,
          used = redis.call('ZCARD', log)}
end

local function windows()
  local all = {}
  for index = 1, #budget.windows do all[index] = window(index) end
  return all
end

local function note(w, member, when)
  redis.call('ZADD', w.log, whole(when), member)
  keep_for(w.log, w.period)
end

-- How many of `limit` a class may use that leaves `share` thousandths of it to those above; one at the very least.
local function ours_of(limit) return math.max(limit - math.floor(limit * ask.share / 1000), 1) end

-- When the n-th ask from now gets its turn, if `ours` turns may lie within a period and every ask before it takes its own;
-- 0: now. `given(i)` is when the i-th of the `used` turns was given, counted from 0.
local function nth(n, used, ours, period, given)
  local behind = n - math.max(ours - used, 0)
  if behind <= 0 then return 0 end
  local index, laps = math.max(used - ours, 0) + (behind - 1) % ours, math.floor((behind - 1) / ours)
  return (index < used and given(index) or now) + period * (laps + 1)
end

local function by_log(w)
  return function(index) return tonumber(redis.call('ZRANGE', w.log, index, index, 'WITHSCORES')[2]) end
end

local function waiting_key(class, party) return name .. ':waiting:' .. whole(class) .. ':' .. party end

local function is_shared(w) return w.spec.fair and budget.parties > 1 end

-- What a party has had of a window lately: each turn counts less the longer ago it was given.
local function had(w, party)
  local amount, when = unpack(redis.call('HMGET', w.log .. ':had', party, party .. '|at'))
  if not amount then return 0 end
  return tonumber(amount) * math.exp((tonumber(when) - now) / math.max(w.period, budget.memory))
end

local function remember_had(w)
  local key = w.log .. ':had'
  redis.call('HSET', key, budget.party, string.format('%.3f', had(w, budget.party) + 1), budget.party .. '|at', whole(now))
  keep_for(key, 10 * math.max(w.period, budget.memory))
end

-- How many turns of a window each party was given in the time over which parties are compared.
local function given_lately(w)
  local given = {}
  local since = now - math.min(w.period, budget.memory)
  for _, member in ipairs(redis.call('ZRANGEBYSCORE', w.log, whole(since), '+inf')) do
    local party = string.match(member, '^(.-)|')
    if party then given[party] = (given[party] or 0) + 1 end
  end
  return given
end

-- How many of a party that this class lets go first were told to come back, and have not been due yet.
local function waiting(party, member)
  local count = 0
  for class = 0, ask.class do
    local key = waiting_key(class, party)
    local mine = redis.call('ZSCORE', key, member)
    count = count + redis.call('ZCOUNT', key, '(' .. whole(now), mine and '(' .. mine or '+inf')
  end
  return count
end

-- How many turns of a window that it shares this party leaves to others: to each that is asking now, what that one has had less
-- than it lately, but no more than it can use: those that wait, and as many again as it was given just now. And a part to one
-- that may come. What is not new leaves more, and for longer: the calls of a deal.
local function left_to_others(w)
  if not is_shared(w) then return 0 end
  local is_new = ask.class == 0
  local lately = is_new and math.min(2 * w.period, budget.memory) or budget.memory
  local asking = redis.call('ZRANGEBYSCORE', parties_key, whole(now - lately), '+inf')
  local own, given, left = had(w, budget.party), given_lately(w), 0
  for _, party in ipairs(asking) do
    if party ~= budget.party then
      local wants = waiting(party, ask.member) + math.max(given[party] or 0, is_new and 1 or budget.deal)
      left = left + math.max(math.min(own - had(w, party), wants), 0)
    end
  end
  if #asking < budget.parties then left = left + w.spec.newcomer end
  return math.ceil(left - 0.5)
end

-- When a window gives the n-th turn from now to such a class; 0: now.
local function in_window(w, n)
  local ours = math.max(ours_of(w.allowed) - left_to_others(w), 1)
  local at = nth(n, w.used, ours, w.period, by_log(w))
  if w.spec.paced and ask.pace > 0 then
    at = math.max(at, number_in(name .. ':paced:' .. whole(ask.class)) + ask.pace * n)
  end
  if at <= now then return 0 end
  if w.allowed < w.limit then at = math.min(at, w.since + w.period + (n - 1) * w.period / ours_of(w.limit)) end
  if w.spec.look > 0 and n == 1 then
    -- Ours is full, and the vendor's count may have begun anew unheard: now and then one call goes to hear of it.
    local newest = redis.call('ZRANGE', w.log, -1, -1, 'WITHSCORES')
    if newest[2] and tonumber(newest[2]) + w.spec.look <= now then return 0 end
  end
  return math.min(at, now + budget.longest)
end

-- How long the n-th ask from now has to wait, and what for: -2 the block, -1 the stop, 0 a place, i the i-th window.
local function wait_for(all, n)
  local at, reason = now, 0
  for index, w in ipairs(all) do
    local for_this = in_window(w, n)
    if for_this > at then at, reason = for_this, index end
  end
  if budget.places > 0 then
    redis.call('ZREMRANGEBYSCORE', places_key, '-inf', whole(now))
    local ours, held = ours_of(budget.places), redis.call('ZCARD', places_key)
    local for_this = now + budget.place_retry * math.ceil(n / ours)
    if held >= ours and for_this > at then at, reason = for_this, 0 end
  end
  local stop = number_in(stop_key)
  local next_try, trying = unpack(redis.call('HMGET', block_key, 'next', 'trying'))
  -- While one tries, the others hear of it soon.
  if next_try and tonumber(trying) == 1 then next_try = math.min(tonumber(next_try), now + budget.trying_retry) end
  for why, til in pairs({[-1] = stop, [-2] = tonumber(next_try or 0)}) do
    -- The turns are all free by then: they come as fast as the windows let them.
    if til > now then
      local queued = 0
      for _, w in ipairs(all) do
        local ours = ours_of(w.allowed)
        queued = math.max(queued, math.floor((n - 1) / ours) * w.period)
      end
      if til + queued > at then at, reason = til + queued, why end
    end
  end
  return at - now, reason
end

-- The number in line: behind those of its own party, and of each other party behind as many as take turns with it.
local function line(member)
  local own = waiting(budget.party, member)
  local number = own + 1
  if budget.parties > 1 then
    for _, party in ipairs(redis.call('ZRANGE', parties_key, 0, -1)) do
      if party ~= budget.party then number = number + math.min(waiting(party, member), own + 1) end
    end
  end
  return number
end

local function give(all, member)
  for _, w in ipairs(all) do
    redis.call('SET', w.log .. ':since', whole(w.since))
    note(w, member, now)
    if is_shared(w) then remember_had(w) end
    if w.spec.paced and ask.pace > 0 then
      redis.call('SET', name .. ':paced:' .. whole(ask.class), whole(now), 'PX', whole(2 * ask.pace / 1000 + 1000))
    end
  end
  if budget.places > 0 then
    redis.call('ZADD', places_key, whole(now + budget.lease), member)
    keep_for(places_key, budget.lease)
  end
  redis.call('ZREM', waiting_key(ask.class, budget.party), member)
  if redis.call('EXISTS', block_key) == 0 then return 0 end
  redis.call('HSET', block_key, 'next', whole(now + budget.trying), 'trying', 1)
  return 1
end

-- Needs: class, share (thousandths left to the classes above), pace (between two turns of a class that is slowed, else 0), and
-- member (the party, a bar, and any name).
-- Answers {0, 0, 0, whether this call tries whether the block is lifted} for a turn that was given; else how long until it is
-- this one's turn, how long until it is worth asking again in place, and what for. What is told is a hint, and no turn is kept:
-- whoever comes when there is one gets it.
local function take()
  local member, all = ask.member, windows()
  if budget.parties > 1 then
    redis.call('ZADD', parties_key, whole(now), budget.party)
    redis.call('ZREMRANGEBYSCORE', parties_key, '-inf', whole(now - budget.longest))
    keep_for(parties_key, budget.longest)
  end
  local first, reason = wait_for(all, 1)
  if first == 0 then return {'0', '0', 0, give(all, member)} end
  local wait = wait_for(all, line(member))
  local key = waiting_key(ask.class, budget.party)
  redis.call('ZREMRANGEBYSCORE', key, '-inf', whole(now))
  redis.call('ZADD', key, whole(now + wait), member)
  if redis.call('PTTL', key) < wait / 1000 + 1000 then keep_for(key, wait) end
  return {whole(math.max(wait, 1)), whole(math.max(reason == 0 and budget.look_again or wait, 1)), reason, 0}
end

-- Needs: member. Answers 1 where the place was still held.
local function keep()
  local member = ask.member
  if not redis.call('ZSCORE', places_key, member) then return 0 end
  redis.call('ZADD', places_key, whole(now + budget.lease), member)
  keep_for(places_key, budget.lease)
  return 1
end

-- A stop or a time to try again: a shorter one never ends a longer one.
local function hold(stop, block)
  if stop > 0 and now + stop > number_in(stop_key) then
    redis.call('SET', stop_key, whole(now + stop))
    keep_for(stop_key, stop)
  end
  if block > 0 then
    redis.call('HSETNX', block_key, 'since', whole(now))
    redis.call('HSET', block_key, 'next', whole(now + block), 'trying', 0)
  end
end

-- How many turns of ours were given after that moment: what only the vendor knew of, its count holds already.
local function ours_after(w, moment)
  local count = 0
  for _, member in ipairs(redis.call('ZRANGEBYSCORE', w.log, '(' .. moment, '+inf')) do
    if string.sub(member, 1, #NOBODY) ~= NOBODY then count = count + 1 end
  end
  return count
end

-- What the vendor says is left holds the call itself, but none that got its turn later: those are added. It shortens the log
-- always, and lengthens it where `slack` says how many turns given before this one it may not have counted yet; but not where
-- the vendor's limit is above ours, which somebody has set on purpose. An answer to a turn from before the window was used up tells
-- nothing of the new one.
local function correct(w, member, left)
  if w.spec.slack >= 0 or #w.spec.plans > 0 then remember_left(w.spec, w.log, left) end
  w.limit = learned(w.spec, w.log)
  local given = redis.call('ZSCORE', w.log, member)
  if not given and redis.call('EXISTS', w.log .. ':spent') == 1 then return end
  local later = given and ours_after(w, given) or 0
  local used = math.max(w.limit - left, 0) + later
  for more = 1, used - w.used do note(w, NOBODY .. member .. ':' .. more, now) end
  local surplus = w.used - used - w.spec.slack
  if given and w.spec.slack >= 0 and surplus > 0 and most_said(w.spec, w.log) <= w.limit then redis.call('ZREMRANGEBYRANK', w.log, 0, surplus - 1) end
  redis.call('SET', w.log .. ':since', whole(now - w.period))
end

-- Needs: member (whose call was answered), tried (whether it was to tell if the block is lifted), admitted, stop, block,
-- for each window what is left (-1: not said), and the window that is used up until the stop ends (0: none).
local function heard()
  local member = ask.member
  hold(ask.stop, ask.block)
  if ask.tried and ask.block == 0 then
    if ask.admitted then redis.call('DEL', block_key) end
    -- It told nothing either way: the next call may.
    if redis.call('EXISTS', block_key) == 1 then redis.call('HSET', block_key, 'next', whole(now), 'trying', 0) end
  end
  for index, w in ipairs(windows()) do
    -- The stop outlasts the vendor's window: what comes after it is counted anew.
    if index == ask.spent then
      redis.call('DEL', w.log)
      redis.call('SET', w.log .. ':spent', 1)
      keep_for(w.log .. ':spent', w.period)
    elseif ask.left[index] >= 0 then correct(w, member, ask.left[index]) end
  end
  return 1
end

-- Answers the rest of the stop, since when we are blocked and until when nobody tries (0, 0: we are not), the places held;
-- then for each window: the limit, allowed, used.
local function left()
  redis.call('ZREMRANGEBYSCORE', places_key, '-inf', whole(now))
  local since, next_try = unpack(redis.call('HMGET', block_key, 'since', 'next'))
  local blocked, rest = 0, 0
  if since then blocked, rest = now - tonumber(since), math.max(tonumber(next_try) - now, 0) end
  local answer = {whole(math.max(number_in(stop_key) - now, 0)), since and 1 or 0, whole(blocked), whole(rest),
                  redis.call('ZCARD', places_key)}
  for _, w in ipairs(windows()) do
    for _, count in ipairs({w.limit, w.allowed, w.used}) do table.insert(answer, whole(count)) end
  end
  return answer
end

-- Needs: window, parts. Answers the limit, what is used, how much of it in the last part of the period, and how much will
-- have come back after each coming part.
local function course()
  local w, recent = window(ask.window), 0
  local part = w.period / ask.parts
  for _, member in ipairs(redis.call('ZRANGEBYSCORE', w.log, whole(now - part), '+inf')) do
    if member:sub(1, #NOBODY) ~= NOBODY then recent = recent + 1 end
  end
  local answer = {whole(w.limit), w.used, recent}
  for number = 1, ask.parts do
    table.insert(answer, redis.call('ZCOUNT', w.log, '-inf', whole(now - w.period + number * part)))
  end
  return answer
end

local verbs = {take = take, keep = keep, heard = heard, left = left, course = course}
return verbs[verb]()
