import Core
import Testing

@Suite("Problems")
struct ProblemTests {
    @Test("each kind has its status and code")
    func kinds() {
        let kinds: [(Problem, Int, ProblemCode)] = [
            (.badRequest("d"), 400, .badRequest), (.unauthenticated("d"), 401, .unauthenticated),
            (.forbidden("d"), 403, .forbidden), (.notFound("d"), 404, .notFound),
            (.unavailable("d"), 503, .unavailable),
        ]
        for (problem, status, code) in kinds {
            #expect(problem.status == status)
            #expect(problem.code == code)
            #expect(problem.detail == "d")
            #expect(problem.problem == problem)
        }
    }

    @Test("an invalid field is named before the rule")
    func field() {
        let problem = Problem.invalidField("user_id", "is missing")
        #expect(problem.status == 422)
        #expect(problem.code == .invalidField)
        #expect(problem.detail == "user_id: is missing")
        #expect(problem.errors == [Problem.FieldError("user_id", "is missing")])
    }

    @Test("several invalid fields are one problem that names each")
    func fields() {
        let errors = [Problem.FieldError("a", "is required"), Problem.FieldError("b", "must be a string")]
        #expect(Problem.invalidFields(errors).detail == "a: is required; b: must be a string")
        #expect(Problem.invalidFields(errors).errors == errors)
    }

    @Test("401 comes with a challenge, 503 with a time")
    func headers() {
        #expect(Problem.unauthenticated("d").headers == [Problem.Header("WWW-Authenticate", "Bearer")])
        #expect(Problem.unavailable("d", retryAfterSeconds: 7).headers == [Problem.Header("Retry-After", "7")])
        #expect(Problem.notFound("d").headers.isEmpty)
    }

    @Test("codes are lower-case words, each once")
    func codes() {
        let words = ProblemCode.allCases.map(\.rawValue)
        #expect(Set(words).count == words.count)
        for word in words {
            #expect(
                word.utf8.allSatisfy { (0x61...0x7a).contains($0) || (0x30...0x39).contains($0) || $0 == 0x5f },
                "\(word)"
            )
        }
    }
}
