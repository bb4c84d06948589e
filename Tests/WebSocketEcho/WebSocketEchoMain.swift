@main
enum WebSocketEchoMain {
    static func main() {}
}
