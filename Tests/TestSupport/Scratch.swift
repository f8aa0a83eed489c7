// Scratch.swift: a folder of a test's own, gone with the test.
// Not here: any check.
import Glibc
import RengaNetwork

/// A fresh folder, removed with its files when its owner goes.
public final class Scratch {
    /// Where it is.
    public let path: String

    /// Makes the folder.
    public init() throws(RengaError) {
        let template = strdup("/tmp/renga-test-XXXXXX")
        defer { free(template) }
        guard let template, mkdtemp(template) != nil else { throw RengaError(.fileError, "no scratch folder") }
        path = String(cString: template)
    }

    deinit {
        chmod(path, 0o700)
        for name in names { remove("\(path)/\(name)") }
        rmdir(path)
    }

    /// What the folder holds, in order.
    public var names: [String] {
        guard let folder = opendir(path) else { return [] }
        defer { closedir(folder) }
        var names: [String] = []
        while let entry = readdir(folder) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != "." && name != ".." { names.append(name) }
        }
        return names.sorted()
    }

    /// Writes `bytes` as the file `name`; returns its path.
    @discardableResult
    public func write(_ name: String, _ bytes: [UInt8]) throws(RengaError) -> String {
        let file = "\(path)/\(name)"
        guard let handle = fopen(file, "wb") else { throw RengaError(.fileError, "cannot write \(file)") }
        let put = bytes.isEmpty ? 0 : fwrite(bytes, 1, bytes.count, handle)
        fclose(handle)
        guard put == bytes.count else { throw RengaError(.fileError, "cannot write \(file)") }
        return file
    }

    /// The bytes of the file `name`.
    public func read(_ name: String) throws(RengaError) -> [UInt8] {
        guard let handle = fopen("\(path)/\(name)", "rb") else {
            throw RengaError(.fileError, "cannot read \(name)")
        }
        defer { fclose(handle) }
        fseek(handle, 0, SEEK_END)
        var bytes = [UInt8](repeating: 0, count: ftell(handle))
        rewind(handle)
        guard fread(&bytes, 1, bytes.count, handle) == bytes.count else {
            throw RengaError(.fileError, "cannot read \(name)")
        }
        return bytes
    }
}
