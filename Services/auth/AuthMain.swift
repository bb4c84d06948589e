import HTTP
import ServiceKit

/// auth: accounts, passwords, sessions and login limits over HTTP/JSON.
///
/// Settings: see `AuthConfig`. Exit status: 0 clean stop, 1 failed start or run, 2 bad configuration.
@main
enum AuthMain {
    static func main() async {
        await ServiceProcess.run("auth", commands: AuthCommands.all) { process in
            // 1. Configuration: file plus environment, every problem reported at once, secrets masked.
            let config = try AuthConfig(process.settings)
            // 2. Store: opened and migrated before the port is bound.
            let store = try await config.openStore()
            let sessions = try await SessionService.start(
                store: store,
                hasher: try config.makeHasher(),
                limits: config.sessionLimits,
                loginLimits: config.loginLimits,
                log: process.log
            )
            process.background("sweep") { await sessions.sweepRegularly() }
            // 3. Routes: the whole surface of the service, in reading order.
            var router = Router()
            router.mount(SessionRoutes(sessions, metrics: process.metrics))
            router.mount(InternalRoutes(sessions))
            // 4. Serve until SIGTERM or SIGINT; polls that wait are answered first, the store is closed last.
            let storeCheck = HealthCheck("store") { try await store.ping() }
            let server = try process.listen(at: SettingsCatalogue.authListen, router, checks: [storeCheck])
            try await process.untilSignal(server) { sessions.feed.close() }
            try await sessions.close()
        }
    }
}
