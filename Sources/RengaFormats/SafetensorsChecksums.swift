// SafetensorsChecksums.swift: checksums inside the metadata, so that any safetensors reader still reads the file and ours finds damage:
//   renga.checksum         of the header itself, taken with zeros in the place of its eight digits;
//   renga.checksum.<name>  of the data of the tensor <name>.
// Not here: the checksum (CRC32C).
import RengaNetwork

/// The checksums of one file, as they stand in its metadata.
struct SafetensorsChecksums {
    /// Begins every key of theirs.
    static let prefix = "renga.checksum"
    private static let none = "00000000"
    /// What stands before the header's digits. A quotation mark inside JSON text has a backslash before it, so with
    /// the brace or comma before it this stands nowhere else.
    private static let mark = Array("\"\(prefix)\":\"".utf8)

    /// The key of a tensor's checksum.
    static func key(_ tensor: String) -> String { "\(prefix).\(tensor)" }

    /// `header` with its own checksum in it.
    static func sealed(_ header: SafetensorsHeader) throws(RengaError) -> [UInt8] {
        var header = header
        header.metadata[prefix] = none
        var bytes = try header.encoded()
        guard let place = place(in: bytes) else {
            throw RengaError(.internalFault, "the header has no place for its checksum")
        }
        let digits = bytes.withUnsafeBytes { CRC32C.text(of: $0) }
        bytes.replaceSubrange(place, with: digits.utf8)
        return bytes
    }

    /// True where the header's own checksum is right, false where it is wrong.
    static func isIntact(_ header: [UInt8]) -> Bool {
        guard let place = place(in: header) else { return false }
        var blank = header
        blank.replaceSubrange(place, with: none.utf8)
        return blank.withUnsafeBytes { CRC32C.text(of: $0) }.utf8.elementsEqual(header[place])
    }

    /// Where the header's eight digits stand.
    private static func place(in header: [UInt8]) -> Range<Int>? {
        let digits = none.utf8.count
        var start = 1
        while start + mark.count + digits <= header.count {
            let isMember = header[start - 1] == UInt8(ascii: "{") || header[start - 1] == UInt8(ascii: ",")
            if isMember, header[start] == mark[0], header[start..<start + mark.count].elementsEqual(mark) {
                return start + mark.count..<start + mark.count + digits
            }
            start += 1
        }
        return nil
    }
}
