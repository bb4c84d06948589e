@main
enum PresenceMain {
    static func main() {}
}
