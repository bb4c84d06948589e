@main
enum FilesMain {
    static func main() {}
}
