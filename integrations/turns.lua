-- One budget: every window, the places and the stop of one vendor account, judged at once.
--
-- KEYS  1 stop    until when nothing may be sent, in microseconds
--       2 places  sorted set of the holders of places, by the end of their lease
--       then for each window: log (sorted set of turns, by when they were given), since (from when on the log is complete)
-- ARGV  1 verb, 2 places (0: any number), 3 windows; then for each window: limit, period; then the verb's own.
--
-- All times are microseconds by the clock of Redis: the workers' own clocks don't matter.

local stop_key, places_key = KEYS[1], KEYS[2]
local verb, places, count = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local at = 4 + 2 * count -- where the verb's own arguments begin

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])

-- Lua would write a large number with an exponent.
local function whole(number) return string.format('%.0f', number) end

local function window(index)
  local log, since_key = KEYS[1 + 2 * index], KEYS[2 + 2 * index]
  local limit, period = tonumber(ARGV[2 + 2 * index]), tonumber(ARGV[3 + 2 * index])
  local since = tonumber(redis.call('GET', since_key) or now)
  redis.call('ZREMRANGEBYSCORE', log, '-inf', whole(now - period))
  -- A log that began within the period may miss turns that were given before Redis was emptied: half of the limit, until
  -- the period is over or the vendor has said what is left.
  local allowed = limit
  if now - since < period then allowed = math.ceil(limit / 2) end
  return {log = log, since_key = since_key, limit = limit, period = period, since = since, allowed = allowed,
          used = redis.call('ZCARD', log)}
end

local function windows()
  local all = {}
  for index = 1, count do all[index] = window(index) end
  return all
end

local function note(w, member, when)
  redis.call('ZADD', w.log, whole(when), member)
  redis.call('PEXPIRE', w.log, whole(w.period / 1000 + 1000))
end

-- How many of `limit` a class may use that leaves `share` thousandths of it to those above; one at the very least.
local function ours_of(limit, share) return math.max(limit - math.floor(limit * share / 1000), 1) end

-- How long until a window gives one more turn to such a class; 0 where it does now.
local function wait_for(w, share)
  local ours = ours_of(w.allowed, share)
  if w.used < ours then return 0 end
  local freeing = redis.call('ZRANGE', w.log, w.used - ours, w.used - ours, 'WITHSCORES')
  local wait = tonumber(freeing[2]) + w.period - now
  if w.allowed < w.limit then wait = math.min(wait, w.since + w.period - now) end
  return math.max(wait, 1)
end

-- Own arguments: member, lease, look_again, share that is left to the classes above.
-- Answers {0, 0} for a turn that was given, else {how long to wait, what for: -1 a stop, 0 a place, n the n-th window}.
local function take()
  local member, lease, look_again = ARGV[at], tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
  local share, wait, reason, all = tonumber(ARGV[at + 3]), 0, 0, windows()
  local stop = tonumber(redis.call('GET', stop_key) or 0)
  if stop > now then wait, reason = stop - now, -1 end
  for index, w in ipairs(all) do
    local for_this = wait_for(w, share)
    if for_this > wait then wait, reason = for_this, index end
  end
  if places > 0 then
    redis.call('ZREMRANGEBYSCORE', places_key, '-inf', whole(now))
    local held = redis.call('ZCARD', places_key)
    if held >= ours_of(places, share) and look_again > wait then wait, reason = look_again, 0 end
  end
  if wait > 0 then return {whole(wait), reason} end
  for _, w in ipairs(all) do
    redis.call('SET', w.since_key, whole(w.since))
    note(w, member, now)
  end
  if places > 0 then
    redis.call('ZADD', places_key, whole(now + lease), member)
    redis.call('PEXPIRE', places_key, whole(lease / 1000 + 1000))
  end
  return {'0', 0}
end

-- Own arguments: member, lease. Answers 1 where the place was still held.
local function keep()
  if not redis.call('ZSCORE', places_key, ARGV[at]) then return 0 end
  redis.call('ZADD', places_key, whole(now + tonumber(ARGV[at + 1])), ARGV[at])
  redis.call('PEXPIRE', places_key, whole(tonumber(ARGV[at + 1]) / 1000 + 1000))
  return 1
end

-- Own arguments: member (whose call was answered), stop, then for each window: left (-1: not said), slack (-1: our own log is
-- never shortened; else how many turns given before this one the vendor may not have counted yet).
local function heard()
  local member, stop = ARGV[at], now + tonumber(ARGV[at + 1])
  if stop > now and stop > tonumber(redis.call('GET', stop_key) or 0) then
    redis.call('SET', stop_key, whole(stop), 'PX', whole(tonumber(ARGV[at + 1]) / 1000 + 1000))
  end
  for index, w in ipairs(windows()) do
    local left, slack = tonumber(ARGV[at + 2 * index]), tonumber(ARGV[at + 1 + 2 * index])
    if left >= 0 then
      local given = redis.call('ZSCORE', w.log, member)
      local later = given and redis.call('ZCOUNT', w.log, '(' .. given, '+inf') or 0
      local used = math.max(w.limit - left, 0) + later
      for more = 1, used - w.used do note(w, member .. ':' .. more, now) end
      local surplus = w.used - used - slack
      if given and slack >= 0 and surplus > 0 then redis.call('ZREMRANGEBYRANK', w.log, 0, surplus - 1) end
      redis.call('SET', w.since_key, whole(now - w.period))
    end
  end
  return 1
end

-- Answers the stop's rest, the places held, then for each window: allowed, used.
local function left()
  redis.call('ZREMRANGEBYSCORE', places_key, '-inf', whole(now))
  local stop = tonumber(redis.call('GET', stop_key) or 0)
  local answer = {whole(math.max(stop - now, 0)), redis.call('ZCARD', places_key)}
  for _, w in ipairs(windows()) do
    table.insert(answer, w.allowed)
    table.insert(answer, w.used)
  end
  return answer
end

if verb == 'take' then return take() end
if verb == 'keep' then return keep() end
if verb == 'heard' then return heard() end
return left()
