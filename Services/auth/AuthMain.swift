@main
enum AuthMain {
    static func main() {}
}
