import HTTP
import ServiceKit

/// auth: accounts, passwords, sessions, login limits and the audit trail over HTTP/JSON.
///
/// Settings: see `AuthConfig`. Exit status: 0 clean stop, 1 failed start or run, 2 bad configuration.
@main
enum AuthMain {
    static func main() async {
        await ServiceProcess.run("auth", commands: AuthCommands.all) { process in
            // 1. Configuration: file plus environment, every problem reported at once, secrets masked.
            let config = try AuthConfig(process.settings)
            // 2. Store: opened and migrated before the port is bound.
            let address = SettingsCatalogue.authListen
            let store = try await AuthConfig.openStore(process, waitingAt: address)
            let sessions = try await process.whenStoreAnswers(listeningAt: address) {
                try await SessionService.start(store: store, limits: config.sessionLimits, log: process.log)
            }
            let hasher = try config.makeHasher()
            let limiter = config.makeLimiter(sessions, log: process.log)
            let guests = try await process.whenStoreAnswers(listeningAt: address) {
                try await GuestLogin.start(sessions, config.guestLimits)
            }
            process.background("sweep") { await sessions.sweepRegularly() }
            process.background("upkeep") { await Upkeep(sessions, guests, config.auditLimits).run(process.log) }
            // 3. Routes: the whole surface of the service, in reading order.
            var router = Router()
            router.mount(
                SessionRoutes(
                    sessions,
                    passwords: PasswordLogin(sessions, hasher: hasher, limiter: limiter),
                    guests: guests,
                    exchange: ExchangeLogin(sessions, verifier: config.exchangeVerifier, limiter: limiter),
                    metrics: process.metrics
                )
            )
            router.mount(
                UserRoutes(AccountService(sessions, hasher: hasher, limiter: limiter), rules: config.passwordRules)
            )
            router.mount(AuditRoutes(sessions))
            router.mount(InternalRoutes(sessions))
            // 4. Serve until SIGTERM or SIGINT; polls that wait are answered first, the store is closed last.
            let storeCheck = HealthCheck("store") { try await store.ping() }
            let server = try process.listen(at: address, router, checks: [storeCheck])
            try await process.untilSignal(server) { sessions.feed.close() }
            try await sessions.close()
        }
    }
}
