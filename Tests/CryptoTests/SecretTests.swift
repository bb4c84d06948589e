import Core
import Crypto
import Foundation
import Testing

@Suite("Constant-time comparison")
struct ConstantTimeTests {
    @Test("tells equal from unequal at every position and length")
    func compares() {
        let bytes = (0..<40).map { UInt8($0) }
        #expect(ConstantTime.equal(bytes, bytes))
        #expect(ConstantTime.equal([UInt8](), []))
        for index in bytes.indices {
            for bit in 0..<8 {
                var other = bytes
                other[index] ^= 1 << bit
                #expect(!ConstantTime.equal(bytes, other))
            }
            #expect(!ConstantTime.equal(bytes, Array(bytes[..<index])))
            #expect(!ConstantTime.equal(Array(bytes[..<index]), bytes))
        }
        #expect(ConstantTime.equal("token", "token"))
        #expect(!ConstantTime.equal("é", "e\u{301}"))
    }
}

@Suite("Secure random")
struct SecureRandomTests {
    @Test("fills exactly the length asked for, beyond one system call's too", arguments: [0, 1, 16, 256, 257, 70_000])
    func lengths(count: Int) {
        let bytes = SecureRandom.bytes(count)
        #expect(bytes.count == count)
        // A longer tail that was never filled would be zeros: the odds of that by chance are 2^-512.
        if count > 64 { #expect(bytes.suffix(64).contains { $0 != 0 }) }
    }

    @Test("gives distinct 128-bit tokens of 22 base64url characters")
    func tokens() {
        let tokens = (0..<1000).map { _ in SecureRandom.token() }
        #expect(Set(tokens).count == 1000)
        #expect(tokens.allSatisfy { $0.utf8.count == 22 && Base64URL.decode($0)?.count == 16 })
        #expect(SecureRandom.token(bytes: 32).utf8.count == 43)
        #expect(Set((0..<1000).map { _ in SecureRandom.uint64() }).count == 1000)
    }
}

@Suite("Password hash (crypt(5))")
struct PasswordHashTests {
    @Test("makes yescrypt hashes that only their password verifies")
    func roundTrip() throws {
        let crypt = PasswordHash()
        let stored = try crypt.hash("pässword 密码", cost: 1)
        #expect(stored.hasPrefix("$y$"))
        #expect(try crypt.verify("pässword 密码", stored: stored))
        #expect(try !crypt.verify("pässword 密", stored: stored))
        #expect(try !crypt.verify("", stored: stored))
        #expect(try crypt.hash("pässword 密码", cost: 1) != stored)
    }

    @Test("verifies a hash that was made elsewhere")
    func published() throws {
        // Made with Perl's `crypt`.
        let stored = "$y$j75$Qe8hbA3dCw0uO4mFv2T1k/$riWv5KoCO2ZMQrYw.xUDqHHYMjJb6kDVv8h1Nh81j74"
        #expect(try PasswordHash().verify("password123", stored: stored))
        #expect(try !PasswordHash().verify("password124", stored: stored))
    }

    @Test("refuses a NUL byte, wherever it stands")
    func containsNUL() throws {
        let crypt = PasswordHash()
        let stored = try crypt.hash("pass", cost: 1)
        for password in ["pass\u{0}", "pass\u{0}word", "\u{0}"] {
            #expect(throws: PasswordHashError.passwordContainsNUL) { try PasswordHash().hash(password, cost: 1) }
            #expect(throws: PasswordHashError.passwordContainsNUL) {
                try PasswordHash().verify(password, stored: stored)
            }
        }
    }

    @Test("takes the longest password that the C library takes, and not one byte more")
    func length() throws {
        let longest = String(repeating: "x", count: PasswordHash.passwordBytesMax)
        let crypt = PasswordHash()
        let stored = try crypt.hash(longest, cost: 1)
        #expect(try crypt.verify(longest, stored: stored))
        #expect(try !crypt.verify(String(longest.dropLast()), stored: stored))
        #expect(throws: PasswordHashError.passwordTooLong) { try PasswordHash().hash(longest + "x", cost: 1) }
    }

    @Test(
        "tells a stored text that is no hash from a wrong password",
        arguments: [
            "", "*", "!", "$y$", "$nonsense$abc", "$y$j75$tooshort\u{0}$x",
        ]
    )
    func malformed(stored: String) {
        #expect(throws: PasswordHashError.storedHashMalformed) { try PasswordHash().verify("x", stored: stored) }
    }

    @Test("knows what a hash of a lower cost takes less than one of today's")
    func costsMissing() throws {
        let stored = try PasswordHash().hash("x", cost: 4)
        #expect(PasswordHash.costsMissing(in: stored, to: 7) == 4..<7)
        for cost in [1, 4] { #expect(PasswordHash.costsMissing(in: stored, to: cost).isEmpty) }
        #expect(PasswordHash.costsMissing(in: "$6$salt$hash", to: 7).isEmpty)
    }

    @Test("asks for a new hash when cost or method differ")
    func needsRehash() throws {
        let stored = try PasswordHash().hash("x", cost: 1)
        #expect(!PasswordHash.needsRehash(stored: stored, cost: 1))
        #expect(PasswordHash.needsRehash(stored: stored, cost: 2))
        #expect(PasswordHash.needsRehash(stored: "$6$salt$hash", cost: 1))
        #expect(PasswordHash.needsRehash(stored: "", cost: 1))
    }
}

@Suite("Password pool")
struct PasswordHasherTests {
    @Test("a hash of a lower cost takes as long as none: who exists cannot be told after the cost was raised")
    func raisedCost() async throws {
        let stored = try PasswordHash().hash("x", cost: 3)
        let hasher = try PasswordHasher(cost: 7)
        func fastest(_ stored: String?) async throws -> Duration {
            var fastest = Duration.seconds(60)
            for _ in 0..<5 {
                let start = ContinuousClock.now
                #expect(try await !hasher.verify("y", stored: stored))
                fastest = min(fastest, ContinuousClock.now - start)
            }
            return fastest
        }
        // Without the rest of the work it is a sixteenth.
        let ratio = try await fastest(stored) / fastest(nil)
        #expect((0.5...2).contains(ratio), "\(ratio)")
        #expect(try await hasher.verify("x", stored: stored))
    }

    @Test("hashes and verifies many at once, each with its own result")
    func concurrent() async throws {
        let hasher = try PasswordHasher(threads: 2, requestsMax: 100, cost: 1)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<20 {
                group.addTask {
                    let stored = try await hasher.hash("password\(number)")
                    #expect(try await hasher.verify("password\(number)", stored: stored))
                    #expect(try await !hasher.verify("password\(number + 1)", stored: stored))
                    #expect(!hasher.needsRehash(stored: stored))
                }
            }
            try await group.waitForAll()
        }
        #expect(hasher.requestCount == 0)
    }

    @Test("refuses more requests than it may have in hand, and serves again afterwards")
    func busy() async throws {
        let hasher = try PasswordHasher(threads: 1, requestsMax: 2, cost: 6)
        let outcomes = await withTaskGroup(of: PasswordHasherError?.self) { group in
            for _ in 0..<50 {
                group.addTask {
                    do throws(PasswordHasherError) {
                        _ = try await hasher.hash("password")
                        return nil
                    } catch {
                        return error
                    }
                }
            }
            return await group.reduce(into: []) { $0.append($1) }
        }
        let served = outcomes.filter { $0 == nil }.count
        let refused = outcomes.filter { $0 == .busy }.count
        #expect(served + refused == 50)
        #expect(served >= 2)
        #expect(refused >= 1)
        #expect(try await hasher.hash("password").hasPrefix("$y$"))
    }

    @Test("no user: false, after a whole comparison; a bad password: its error")
    func absentUser() async throws {
        let hasher = try PasswordHasher(cost: 1)
        #expect(try await !hasher.verify("anything", stored: nil))
        await #expect(throws: PasswordHasherError.password(.passwordContainsNUL)) {
            try await hasher.verify("a\u{0}", stored: nil)
        }
        await #expect(throws: PasswordHasherError.password(.storedHashMalformed)) {
            try await hasher.verify("a", stored: "*")
        }
    }

    @Test("hashes on threads that give way to all others")
    func priority() async throws {
        let hasher = try PasswordHasher(cost: 1)
        _ = try await hasher.hash("password")
        // The 19th field of proc_pid_stat(5), counted from behind the name in parentheses.
        let nices = try FileManager.default.contentsOfDirectory(atPath: "/proc/self/task").compactMap { task in
            let line = try? String(contentsOfFile: "/proc/self/task/\(task)/stat", encoding: .utf8)
            return line?.split(separator: ")").last?.split(separator: " ")[16]
        }
        #expect(nices.contains("5"), "\(nices)")
        #expect(nices.contains { $0 != "5" }, "\(nices)")
        #expect(hasher.requestCount == 0)
    }

    @Test("refuses everything once stopped")
    func stopped() async throws {
        let hasher = try PasswordHasher(cost: 1)
        hasher.stop()
        hasher.stop()
        await #expect(throws: PasswordHasherError.stopped) { try await hasher.hash("password") }
    }

    @Test("answers with statuses that fit")
    func problems() {
        #expect(PasswordHasherError.busy.problem.status == 503)
        #expect(PasswordHasherError.busy.problem.headers.contains { $0.name == "Retry-After" })
        #expect(PasswordHasherError.password(.passwordContainsNUL).problem.status == 422)
        #expect(PasswordHasherError.password(.passwordTooLong).problem.status == 422)
        #expect(PasswordHasherError.password(.storedHashMalformed).problem.status == 500)
    }
}
