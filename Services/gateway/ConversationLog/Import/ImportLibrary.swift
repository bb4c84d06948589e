import Redis

extension RedisLibrary {
    /// The steps of an import; each works on one conversation (`ConversationKeys`), and may be done again.
    static let messageLogImport = RedisLibrary(
        name: "messagelogimport",
        version: 1,
        source: """
            local function id(sequence) return string.format('0-%d', sequence) end

            local function head_of(stream)
              local last = redis.call('XREVRANGE', stream, '+', '-', 'COUNT', 1)
              return #last == 0 and 0 or tonumber(string.sub(last[1][1], 3))
            end

            -- Keys: stream, i, x. Arguments: of each entry, in order, sequence, digest or nothing, text, and whether it
            -- was recalled. What an earlier attempt has put there has to be the same.
            redis.register_function('messagelogimport_entries_1', function(keys, args)
              local head = head_of(keys[1])
              for at = 1, #args, 4 do
                local sequence, digest, text, is_recalled = tonumber(args[at]), args[at + 1], args[at + 2], args[at + 3]
                if is_recalled == '1' then
                  redis.call('XDEL', keys[1], id(sequence))
                  redis.call('HSET', keys[3], args[at], text)
                elseif sequence > head then
                  redis.call('XADD', keys[1], id(sequence), 'e', text)
                else
                  local found = redis.call('XRANGE', keys[1], id(sequence), id(sequence))
                  if #found == 0 or found[1][2][2] ~= text then
                    return redis.error_reply('ERR entry ' .. args[at] .. ' of ' .. keys[1] .. ' is another one')
                  end
                end
                if digest ~= '' then redis.call('HSET', keys[2], digest, args[at]) end
              end
              return redis.status_reply('OK')
            end)

            -- Keys: stream, i, s, m, x. Head, entries with their texts, recalled ones, digests, members, version.
            redis.register_function{
              function_name = 'messagelogimport_counts_1',
              flags = {'no-writes'},
              callback = function(keys, args)
                return {
                  head_of(keys[1]), redis.call('XLEN', keys[1]), redis.call('HLEN', keys[5]),
                  redis.call('HLEN', keys[2]), redis.call('HLEN', keys[4]),
                  tonumber(redis.call('HGET', keys[3], 'v') or '0')
                }
              end
            }
            """
    )
}

extension ConversationKeys {
    /// Entries as they are, in order.
    func importEntries(_ entries: [ImportSource.Entry]) -> RedisCommand {
        var arguments: [RedisArgument] = ["messagelogimport_entries_1", 3, stream, identities, masked]
        for entry in entries {
            arguments.append(.integer(entry.sequence))
            arguments.append(.bytes(entry.digest ?? []))
            arguments.append(.bytes(entry.text))
            arguments.append(.integer(entry.isRecalled ? 1 : 0))
        }
        return RedisCommand("FCALL", arguments)
    }

    var importCounts: RedisCommand {
        RedisCommand("FCALL", ["messagelogimport_counts_1", 5, stream, identities, state, members, masked])
    }
}
