// BrokenFiles.swift: the files of Tests/Fuzz/corpus, each broken in one way, which are also where fuzzing begins; and the most memory that
// reading takes. Not here: what a reader must make of them.
import Glibc
import RengaNetwork

/// Files that no reader may take, by kind: the names of the corpus' folders.
public enum BrokenFiles {
    /// All files of a kind, by name.
    public static func all(_ kind: String, source: String = #filePath) throws -> [(name: String, path: String)] {
        let folder = source.split(separator: "/").dropLast(2).reduce("") { "\($0)/\($1)" } + "/Fuzz/corpus/" + kind
        guard let listing = opendir(folder) else { throw RengaError(.notFound, "no folder '\(folder)'") }
        defer { closedir(listing) }
        var names: [String] = []
        while let entry = readdir(listing) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { field in
                field.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if !name.hasPrefix(".") { names.append(name) }
        }
        return names.sorted().map { ($0, "\(folder)/\($0)") }
    }
}

/// Bytes by which `body` makes the process larger at most, all at once; nil where the system does not tell.
public func peakGrowth(of body: () throws -> Void) rethrows -> Int? {
    let file = open("/proc/self/clear_refs", O_WRONLY)
    // 5: the peak begins anew.
    let isReset = file >= 0 && write(file, "5", 1) == 1
    if file >= 0 { close(file) }
    let before = residentBytes("VmRSS:")
    try body()
    guard isReset, let before, let peak = residentBytes("VmHWM:") else { return nil }
    return max(peak - before, 0)
}

private func residentBytes(_ key: String) -> Int? {
    let file = open("/proc/self/status", O_RDONLY)
    guard file >= 0 else { return nil }
    defer { close(file) }
    var text = [UInt8](repeating: 0, count: 1 << 14)
    let got = read(file, &text, text.count)
    let words = String(decoding: text.prefix(max(got, 0)), as: UTF8.self).split {
        $0 == " " || $0 == "\t" || $0 == "\n"
    }
    guard let place = words.firstIndex(where: { $0 == key }), place + 1 < words.count else { return nil }
    return Int(words[place + 1]).map { $0 << 10 }
}
