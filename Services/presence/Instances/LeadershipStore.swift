/// A leader's time, as the database has begun it.
struct LeadershipTerm: Sendable, Equatable {
    let number: Int64
    /// Where its registration numbers begin: past all that earlier leaders can have given.
    let firstRegistration: Int
}

/// Where the instances agree on who leads; each call is one serializable step.
protocol LeadershipStore: Sendable {
    /// Who leads; `nil` when nobody ever has.
    func record() async throws -> LeadershipRecord?

    /// Begins the next term, unless the record has changed.
    ///
    /// - Parameters:
    ///   - record: As it was seen last.
    ///   - url: Where this instance is reached.
    ///   - firstRegistration: The least that the term's numbers may begin with.
    /// - Returns: The term; `nil` when the record is another one by now.
    func claim(after record: LeadershipRecord?, url: String, firstRegistration: Int) async throws -> LeadershipTerm?

    /// Stores the next beat.
    ///
    /// - Returns: False when the term is over.
    func renew(_ term: Int64) async throws -> Bool

    /// Gives leadership up, if the term is not over anyway: whoever sees it may lead at once.
    func resign(_ term: Int64) async throws
}
