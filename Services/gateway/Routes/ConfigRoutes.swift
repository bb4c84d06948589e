import Core
import HTTP
import ServiceKit

/// `GET /api/config`: the limits that a client should know before it sends; public.
struct ConfigRoutes: RouteGroup {
    let document: [UInt8]

    init(_ settings: Settings, limits: GatewayLimits) throws {
        document = try JSONBody.encode(
            Document(
                upload: .init(UploadLimits(settings)),
                message: .init(charactersMax: ChatFrame.contentScalarsMax),
                websocket: .init(
                    heartbeatIntervalMilliseconds: limits.heartbeatMilliseconds,
                    pingIntervalMilliseconds: limits.pingMilliseconds
                ),
                history: .init(limitMax: HistoryFrame.limits.upperBound),
                features: .init(guests: settings[SettingsCatalogue.authGuests])
            )
        )
    }

    func register(in router: inout Router) {
        let document = document
        router.add(.get, "/api/config") { _ in Response(contentType: "application/json", document) }
    }

    private struct Document: Encodable {
        struct Upload: Encodable {
            let limits: UploadLimits

            init(_ limits: UploadLimits) { self.limits = limits }

            enum CodingKeys: String, CodingKey {
                case fileBytesMax = "file_bytes_max"
                case base64BytesMax = "base64_bytes_max"
                case imageBytesMax = "image_bytes_max"
                case videoBytesMax = "video_bytes_max"
                case voiceBytesMax = "voice_bytes_max"
                case userBytesMax = "user_bytes_max"
                case userFilesMax = "user_files_max"
                case uploadsPerUserMax = "uploads_per_user_max"
                case tusUploadsPerUserMax = "tus_uploads_per_user_max"
                case uploadExpirySeconds = "upload_expiry_s"
            }

            func encode(to encoder: any Encoder) throws {
                var container = encoder.container(keyedBy: CodingKeys.self)
                try container.encode(limits.fileBytesMax, forKey: .fileBytesMax)
                try container.encode(limits.base64BytesMax, forKey: .base64BytesMax)
                try container.encode(limits.imageBytesMax, forKey: .imageBytesMax)
                try container.encode(limits.videoBytesMax, forKey: .videoBytesMax)
                try container.encode(limits.voiceBytesMax, forKey: .voiceBytesMax)
                try container.encode(limits.userBytesMax, forKey: .userBytesMax)
                try container.encode(limits.userFilesMax, forKey: .userFilesMax)
                try container.encode(limits.uploadsPerUserMax, forKey: .uploadsPerUserMax)
                try container.encode(limits.tusUploadsPerUserMax, forKey: .tusUploadsPerUserMax)
                try container.encode(limits.uploadExpiry.components.seconds, forKey: .uploadExpirySeconds)
            }
        }

        struct Message: Encodable {
            let charactersMax: Int

            enum CodingKeys: String, CodingKey {
                case charactersMax = "characters_max"
            }
        }

        struct WebSocket: Encodable {
            let heartbeatIntervalMilliseconds: Int
            let pingIntervalMilliseconds: Int

            enum CodingKeys: String, CodingKey {
                case heartbeatIntervalMilliseconds = "heartbeat_interval_ms"
                case pingIntervalMilliseconds = "ping_interval_ms"
            }
        }

        struct History: Encodable {
            let limitMax: Int

            enum CodingKeys: String, CodingKey {
                case limitMax = "limit_max"
            }
        }

        struct Features: Encodable {
            let guests: Bool
        }

        let upload: Upload
        let message: Message
        let websocket: WebSocket
        let history: History
        let features: Features
    }
}
