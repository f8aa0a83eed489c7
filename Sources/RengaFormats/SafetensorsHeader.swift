// SafetensorsHeader.swift: the JSON head of a safetensors file: read strictly, written the same for the same content.
// Format: https://huggingface.co/docs/safetensors (8 bytes little-endian length, JSON, data without holes).
// Not here: the tensors' numbers (SafetensorsFile), checksums of them (SafetensorsChecksums).
import RengaNetwork

/// Names, dimensions and places of the tensors of a file, and its metadata.
struct SafetensorsHeader {
    /// Longest header that is read: far beyond any network's, and its JSON still fits any memory.
    static let mostBytes = 16 << 20
    /// The data begin at a multiple of this, so that whoever maps the file finds them aligned.
    static let alignment = 64
    /// The member that holds the metadata.
    private static let metadataName = "__metadata__"

    /// One tensor; its bytes are `begin ..< end` of the data.
    struct Entry {
        let name: String
        let type: NumberType
        let dimensions: [Int]
        let begin: Int
        let end: Int
    }

    /// In the order of their data, which have neither holes nor overlaps.
    let entries: [Entry]
    /// Text by name.
    var metadata: [String: String]
}

// MARK: - Reading

extension SafetensorsHeader {
    /// Reads a header and checks that its tensors cover `dataBytes` bytes exactly.
    /// Errors: corruptData; unsupported for an element type that is none of ``NumberType/all``.
    init(parsing bytes: [UInt8], dataBytes: Int) throws(RengaError) {
        guard let members = try JSON(parsing: bytes).members else {
            throw RengaError(.corruptData, "the header is no JSON object")
        }
        var entries: [Entry] = []
        var metadata: [String: String] = [:]
        for member in members {
            if member.name == SafetensorsHeader.metadataName {
                metadata = try SafetensorsHeader.texts(member.value)
            } else {
                entries.append(try SafetensorsHeader.entry(member.name, member.value))
            }
        }
        entries.sort { ($0.begin, $0.end) < ($1.begin, $1.end) }
        var place = 0
        for entry in entries {
            guard entry.begin == place else {
                throw RengaError(
                    .corruptData,
                    "tensor '\(entry.name.prefix(200))' begins at byte \(entry.begin) of the data, "
                        + "expected \(place): a hole or an overlap")
            }
            place = entry.end
        }
        guard place == dataBytes else {
            throw RengaError(.corruptData, "the tensors need \(place) bytes of data, the file has \(dataBytes)")
        }
        self.entries = entries
        self.metadata = metadata
    }

    private static func texts(_ json: JSON) throws(RengaError) -> [String: String] {
        // What has none may say so: "__metadata__": null.
        guard let members = json == .null ? [] : json.members else {
            throw RengaError(.corruptData, "the metadata are no JSON object")
        }
        var texts: [String: String] = [:]
        for member in members {
            guard let text = member.value.textValue else {
                throw RengaError(.corruptData, "the metadata '\(member.name.prefix(200))' are no text")
            }
            texts[member.name] = text
        }
        return texts
    }

    private static func entry(_ name: String, _ json: JSON) throws(RengaError) -> Entry {
        func wrong(_ what: String) -> RengaError {
            RengaError(.corruptData, "tensor '\(name.prefix(200))': \(what)")
        }
        guard json.members?.count == 3, let typeName = json["dtype"]?.textValue,
            let dimensions = json["shape"]?.listValue?.map(\.integerValue),
            let offsets = json["data_offsets"]?.listValue?.map(\.integerValue), offsets.count == 2,
            let begin = offsets[0], let end = offsets[1]
        else { throw wrong("expected dtype, shape and two data_offsets") }
        guard let type = NumberType.all.first(where: { $0.name == typeName }) else {
            let known = NumberType.all.map(\.name).joined(separator: ", ")
            throw RengaError(
                .unsupported, "tensor '\(name.prefix(200))' has dtype \(typeName.prefix(20)); read are \(known)")
        }
        let extents = dimensions.compactMap { $0 }
        guard extents.count == dimensions.count, extents.allSatisfy({ $0 >= 0 && $0 <= Shape.mostElements }) else {
            throw wrong("its shape holds something other than sizes")
        }
        let needed = extents.contains(0) ? 0 : extents.saturatingProduct.saturatingTimes(type.bytes)
        guard begin >= 0, end >= begin, end - begin == needed else {
            throw wrong("its offsets \(begin), \(end) do not fit its shape \(extents)")
        }
        return Entry(name: name, type: type, dimensions: extents, begin: begin, end: end)
    }
}

// MARK: - Writing

extension SafetensorsHeader {
    /// Lays tensors out in the order of their names.
    init(layingOut tensors: [String: Tensor], metadata: [String: String]) throws(RengaError) {
        var entries: [Entry] = []
        var place = 0
        for (name, tensor) in tensors.sorted(by: { $0.key < $1.key }) {
            guard !name.isEmpty, name != SafetensorsHeader.metadataName else {
                throw RengaError(.invalidArgument, "a tensor cannot have the name '\(name)'")
            }
            let end = place.saturatingPlus(tensor.count.saturatingTimes(4))
            entries.append(Entry(name: name, type: .f32, dimensions: tensor.dimensions, begin: place, end: end))
            place = end
        }
        self.entries = entries
        self.metadata = metadata
    }

    /// Bytes of all tensors.
    var dataBytes: Int { entries.last?.end ?? 0 }

    /// The JSON, padded with spaces so that with its 8 bytes of length it ends at a multiple of ``alignment``.
    func encoded() throws(RengaError) -> [UInt8] {
        let texts = metadata.sorted { $0.key < $1.key }.map { JSON.Member($0.key, .text($0.value)) }
        let tensors = entries.map { entry -> JSON.Member in
            let shape = JSON.list(entry.dimensions.map { .integer($0) })
            return JSON.Member(
                entry.name,
                [
                    "dtype": .text(entry.type.name), "shape": shape,
                    "data_offsets": [.integer(entry.begin), .integer(entry.end)],
                ])
        }
        let json = JSON.object([JSON.Member(SafetensorsHeader.metadataName, .object(texts))] + tensors)
        var bytes = Array(json.description.utf8)
        while (8 + bytes.count) % SafetensorsHeader.alignment != 0 { bytes.append(UInt8(ascii: " ")) }
        guard bytes.count <= SafetensorsHeader.mostBytes else {
            throw RengaError(
                .invalidArgument,
                "names and metadata need \(bytes.count) bytes; a file holds at most \(SafetensorsHeader.mostBytes)")
        }
        return bytes
    }
}
