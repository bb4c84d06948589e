import Core
import Glibc

/// What the kernel says of this process (proc(5), getrusage(2)), under Prometheus's usual names.
enum ProcessMetrics {
    static func add(to metrics: Metrics) {
        let started = Double(Timestamp.now().milliseconds) / 1000
        metrics.read("process_start_time_seconds", help: "Start of the process, seconds since 1970.") { started }
        metrics.read("process_resident_memory_bytes", help: "Resident memory, in bytes.") {
            Double(residentBytes())
        }
        metrics.read("process_open_fds", help: "Open file descriptors.") { Double(openDescriptors()) }
        metrics.read("process_max_fds", help: "The limit of open file descriptors.") { Double(descriptorLimit()) }
        metrics.read("process_cpu_seconds_total", help: "User and system CPU time, in seconds.", isCounter: true) {
            cpuSeconds()
        }
    }

    /// The second number of `/proc/self/statm`, in pages.
    private static func residentBytes() -> Int {
        guard let file = fopen("/proc/self/statm", "re") else { return 0 }
        defer { fclose(file) }
        var line = [CChar](repeating: 0, count: 256)
        guard fgets(&line, Int32(line.count), file) != nil else { return 0 }
        let text = String(decoding: line.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
        let fields = text.split(separator: " ")
        return fields.count > 1 ? (Int(fields[1]) ?? 0) * Int(getpagesize()) : 0
    }

    private static func openDescriptors() -> Int {
        guard let directory = opendir("/proc/self/fd") else { return 0 }
        defer { closedir(directory) }
        var count = 0
        while readdir(directory) != nil { count += 1 }
        // `.`, `..`, and the descriptor that this reading takes.
        return max(count - 3, 0)
    }

    private static func descriptorLimit() -> Int {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return 0 }
        return Int(clamping: limit.rlim_cur)
    }

    private static func cpuSeconds() -> Double {
        var usage = rusage()
        guard getrusage(RUSAGE_SELF.rawValue, &usage) == 0 else { return 0 }
        func seconds(_ time: timeval) -> Double { Double(time.tv_sec) + Double(time.tv_usec) / 1e6 }
        return seconds(usage.ru_utime) + seconds(usage.ru_stime)
    }
}
