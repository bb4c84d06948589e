import Redis

extension RedisLibrary {
    /// The atomic steps of the message log; each works on one conversation (`ConversationKeys`), so in one slot.
    ///
    /// `…:s` holds `v`, a version that grows with each change of `s`, the state in JSON, and `a`, the agent in it. A
    /// member in `…:m` is `DELIVERED READ ENDED START`, ended -1 for one who is a member now.
    static let messageLog = RedisLibrary(name: "messagelog", version: 1, source: entries + changes + reads)

    private static let entries = """
        local function id(sequence) return string.format('0-%d', sequence) end

        local function head_of(stream)
          local last = redis.call('XREVRANGE', stream, '+', '-', 'COUNT', 1)
          return #last == 0 and 0 or tonumber(string.sub(last[1][1], 3))
        end

        local function version_of(state) return redis.call('HGET', state, 'v') or '0' end

        local function place_of(members, user)
          local place = redis.call('HGET', members, user)
          if not place then return nil end
          local delivered, read, ended, start = string.match(place, '^(%d+) (%d+) (%-?%d+) (%d+)$')
          return tonumber(delivered), tonumber(read), tonumber(ended), tonumber(start)
        end

        local function set_place(members, user, delivered, read, ended, start)
          redis.call('HSET', members, user, string.format('%d %d %d %d', delivered, read, ended, start))
        end

        -- Entries that change no state. Keys: stream, i, s. Arguments: the version that the state was known in, then a
        -- digest and a text for each. The sequence of each, negative for one that was there; nothing in another
        -- version.
        redis.register_function('messagelog_append_1', function(keys, args)
          if version_of(keys[3]) ~= args[1] then return {} end
          local sequences = {}
          for at = 2, #args, 2 do
            local known = redis.call('HGET', keys[2], args[at])
            if known then
              sequences[#sequences + 1] = -tonumber(known)
            else
              local sequence = string.sub(redis.call('XADD', keys[1], '0-*', 'e', args[at + 1]), 3)
              redis.call('HSET', keys[2], args[at], sequence)
              sequences[#sequences + 1] = tonumber(sequence)
            end
          end
          return sequences
        end)

        """

    private static let changes = """
        -- One change of state, with the entry that makes it or without. Keys: stream, i, s, m, x, o. Arguments: the
        -- plan (`LogPlan`), the digest and the text of the entry or nothing, the new state or nothing, the target's
        -- masked text. The head after it; negative when the entry was there, false when version or head are not as
        -- planned.
        redis.register_function('messagelog_store_1', function(keys, args)
          local plan = cjson.decode(args[1])
          local digest, text, state, masked = args[2], args[3], args[4], args[5]
          if text ~= '' then
            local known = redis.call('HGET', keys[2], digest)
            if known then return -tonumber(known) end
          end
          local head = head_of(keys[1])
          if version_of(keys[3]) ~= string.format('%d', plan.version) then return false end
          if plan.head >= 0 and head ~= plan.head then return false end
          if text ~= '' then
            head = head + 1
            redis.call('XADD', keys[1], id(head), 'e', text)
            redis.call('HSET', keys[2], digest, string.format('%d', head))
          end
          if masked ~= '' then
            redis.call('XDEL', keys[1], id(plan.target))
            redis.call('HSET', keys[5], string.format('%d', plan.target), masked)
          end
          if state ~= '' then
            redis.call('HSET', keys[3], 'v', string.format('%d', plan.version + 1), 's', state, 'a', plan.agent)
          end
          for _, user in ipairs(plan.joined) do
            local delivered, read = place_of(keys[4], user)
            local from = math.max(delivered or 0, plan.start)
            set_place(keys[4], user, from, math.max(read or 0, plan.start), -1, from)
          end
          for _, user in ipairs(plan.ended) do
            local delivered, read, _, start = place_of(keys[4], user)
            set_place(keys[4], user, delivered or 0, read or 0, head, start or 0)
          end
          for _, number in ipairs(plan.dropped) do redis.call('HDEL', keys[6], number) end
          for number, work in pairs(plan.due) do redis.call('HSET', keys[6], number, work) end
          return head
        end)

        -- A receipt. Keys: stream, s, m. Arguments: user, delivered, read, the version known. What has moved, -1 for a
        -- position that has not, then the state if it is in another version; false when nothing has.
        redis.register_function('messagelog_move_1', function(keys, args)
          local delivered, read, ended, start = place_of(keys[3], args[1])
          if not delivered then return false end
          local last = ended >= 0 and ended or head_of(keys[1])
          local new_read = math.max(read, math.min(tonumber(args[3]), last))
          local new_delivered = math.max(delivered, math.min(tonumber(args[2]), last), new_read)
          if new_delivered == delivered and new_read == read then return false end
          set_place(keys[3], args[1], new_delivered, new_read, ended, start)
          return {
            new_delivered > delivered and new_delivered or -1, new_read > read and new_read or -1,
            version_of(keys[2]) ~= args[4] and redis.call('HGET', keys[2], 's')
          }
        end)

        -- Takes conversations out of a user's, unless they were put in again. Key: the user's set. Arguments: a name
        -- and the version in which nothing was owed, for each.
        redis.register_function('messagelog_forget_1', function(keys, args)
          for at = 1, #args, 2 do
            local score = redis.call('ZSCORE', keys[1], args[at])
            if score and tonumber(score) <= tonumber(args[at + 1]) then redis.call('ZREM', keys[1], args[at]) end
          end
        end)

        """

    private static let reads = """
        local function register_read(name, callback)
          redis.register_function{ function_name = name, flags = {'no-writes'}, callback = callback }
        end

        -- Keys: stream, i, s, o. Argument: a digest or nothing. Version, state, head, the digest's sequence, what is
        -- due.
        register_read('messagelog_look_1', function(keys, args)
          local known = args[1] ~= '' and redis.call('HGET', keys[2], args[1])
          return {
            version_of(keys[3]), redis.call('HGET', keys[3], 's'), head_of(keys[1]), known and tonumber(known) or 0,
            redis.call('HGETALL', keys[4])
          }
        end)

        -- Keys: stream, s, m. Argument: a user. Delivered, how far they are sent, the agent, whether they are a member
        -- now, the version, where they began; false for somebody who never was one.
        register_read('messagelog_position_1', function(keys, args)
          local delivered, _, ended, start = place_of(keys[3], args[1])
          if not delivered then return false end
          return {
            delivered, ended >= 0 and ended or math.max(head_of(keys[1]), delivered), redis.call('HGET', keys[2], 'a'),
            ended < 0 and 1 or 0, version_of(keys[2]), start
          }
        end)

        -- Keys: stream, s, m. Argument: a user. Version, state, head, and of one who was a member read and ended.
        register_read('messagelog_summary_1', function(keys, args)
          local _, read, ended = place_of(keys[3], args[1])
          return {version_of(keys[2]), redis.call('HGET', keys[2], 's'), head_of(keys[1]), read or -1, ended or -1}
        end)

        -- Keys: stream, x. Arguments: after or before, a sequence, the most entries and the most bytes. The head, the
        -- first sequence that is meant, and texts from it on, in the direction that was asked for.
        register_read('messagelog_read_1', function(keys, args)
          local bound, limit, bytes_max = tonumber(args[2]), tonumber(args[3]), tonumber(args[4])
          local head = head_of(keys[1])
          local command, first, last, step
          if args[1] == 'after' then
            command, first, step = 'XRANGE', math.max(bound, 0) + 1, 1
            last = math.min(first + limit - 1, head)
          else
            command, first, step = 'XREVRANGE', math.min(bound, head + 1) - 1, -1
            last = math.max(first - limit + 1, 1)
          end
          local answer, bytes, sequence = {head, first}, 0, first
          while (last - sequence) * step >= 0 do
            local stop = sequence + (math.min((last - sequence) * step, 63)) * step
            local found, at = redis.call(command, keys[1], id(sequence), id(stop)), 1
            for wanted = sequence, stop, step do
              local text
              if found[at] and found[at][1] == id(wanted) then
                text = found[at][2][2]
                at = at + 1
              else
                text = redis.call('HGET', keys[2], string.format('%d', wanted)) or ''
              end
              answer[#answer + 1] = text
              bytes = bytes + #text
              if bytes >= bytes_max then return answer end
            end
            sequence = stop + step
          end
          return answer
        end)
        """
}
