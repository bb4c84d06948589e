import Redis

extension RedisLibrary {
    /// The atomic steps of a `RedisChangeLog`.
    ///
    /// Keys: the head, a hash (`n`, `t`: number and token of the last record; `i`, `in`, `it`, `ic`: the newest image's
    /// key, number, token and chunks); the stream of records (`0-N`: `t` token, `k` kind, `b` bytes); an image, a hash
    /// of its chunks.
    ///
    /// What works on an image that is not published leaves a published one alone: two imports of a file have one key.
    static let changeLog = RedisLibrary(
        name: "changelog",
        version: 2,
        source: """
            local function is_last(head, number, token)
              local last = redis.call('HMGET', head, 'n', 't')
              return (last[1] or '0') == number and (last[2] or '') == token
            end

            local function id(number) return string.format('0-%d', number) end

            local function add(head, stream, number, token, kind, bytes)
              local next = tonumber(number) + 1
              redis.call('XADD', stream, id(next), 't', token, 'k', kind, 'b', bytes)
              redis.call('HSET', head, 'n', string.format('%d', next), 't', token)
              return next
            end

            local function append(keys, args)
              if not is_last(keys[1], args[1], args[2]) then return 0 end
              add(keys[1], keys[2], args[1], args[3], args[4], args[5])
              return 1
            end

            redis.register_function('changelog_append_2', append)

            -- The same at maxmemory.
            redis.register_function{
              function_name = 'changelog_append_full_2',
              flags = {'allow-oom'},
              callback = append
            }

            redis.register_function{
              function_name = 'changelog_read_2',
              flags = {'no-writes'},
              callback = function(keys, args)
                if is_last(keys[1], args[1], args[2]) then return {} end
                if args[1] == '0' then
                  local first = redis.call('XRANGE', keys[2], '-', '+', 'COUNT', 1)
                  if #first == 0 or first[1][1] ~= id(1) then return false end
                else
                  local at = redis.call('XRANGE', keys[2], id(args[1]), id(args[1]))
                  if #at == 0 or at[1][2][2] ~= args[2] then return false end
                end
                return redis.call('XRANGE', keys[2], '(' .. id(args[1]), '+', 'COUNT', args[3])
              end
            }

            redis.register_function('changelog_store_2', function(keys, args)
              if redis.call('HGET', keys[1], 'i') == keys[2] then return 0 end
              redis.call('HSET', keys[2], args[1], args[2])
              redis.call('EXPIRE', keys[2], args[3])
              return 1
            end)

            -- It gives room back, so it runs without any.
            redis.register_function{
              function_name = 'changelog_forget_2',
              flags = {'allow-oom'},
              callback = function(keys, args)
                if redis.call('HGET', keys[1], 'i') == keys[2] then return 0 end
                return redis.call('UNLINK', keys[2])
              end
            }

            redis.register_function('changelog_publish_2', function(keys, args)
              if not is_last(keys[1], args[1], args[2]) then return 0 end
              -- It may have been forgotten before this came.
              if redis.call('HLEN', keys[3]) ~= tonumber(args[5]) then return 0 end
              local old = redis.call('HGET', keys[1], 'i')
              local number = add(keys[1], keys[2], args[1], args[3], args[4], '')
              redis.call('HSET', keys[1], 'i', keys[3], 'in', string.format('%d', number), 'it', args[3], 'ic', args[5])
              redis.call('PERSIST', keys[3])
              if old then redis.call('EXPIRE', old, args[7]) end
              redis.call('XTRIM', keys[2], 'MINID', id(math.max(1, number - tonumber(args[6]))))
              return 1
            end)
            """
    )
}
