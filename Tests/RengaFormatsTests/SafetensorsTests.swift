// SafetensorsTests.swift: the container: what is written is read back, files by others are read, and no damaged file is.
// Not here: networks.
import RengaNetwork
import TestSupport
import XCTest

@testable import RengaFormats

final class SafetensorsTests: XCTestCase {
    private func makeFile() throws -> SafetensorsFile {
        SafetensorsFile(
            tensors: [
                "b.weight": try Tensor(dimensions: [2, 3], values: [1, -2, 3.5, 0, -0.0, 1e-40]),
                "a": try Tensor(dimensions: [], values: [7]),
                "empty": try Tensor(dimensions: [3, 0]),
            ], metadata: ["note": "\"quoted\" {\",\\ \u{1}ä", "x\"renga.checksum": "00000000"])
    }

    func testChecksumOfThePublishedExamples() {
        // RFC 3720, B.4, and the catalogue's check value.
        let cases: [([UInt8], String)] = [
            (Array("123456789".utf8), "e3069283"), ([UInt8](repeating: 0, count: 32), "8a9136aa"),
            ([UInt8](repeating: 255, count: 32), "62a8ab43"), (Array(0..<32), "46dd794e"), ([], "00000000"),
        ]
        for (bytes, expected) in cases {
            XCTAssertEqual(bytes.withUnsafeBytes { CRC32C.text(of: $0) }, expected)
            var parts = CRC32C()
            for byte in bytes { [byte].withUnsafeBytes { parts.update($0) } }
            XCTAssertEqual(parts.text, expected, "byte by byte")
        }
    }

    func testReadsWhatItWrote() throws {
        let scratch = try Scratch()
        let file = try makeFile()
        try file.save(to: "\(scratch.path)/a.safetensors")
        XCTAssertEqual(scratch.names, ["a.safetensors"])
        XCTAssertEqual(try scratch.read("a.safetensors"), try bytes(of: file))
        for read in [
            try SafetensorsFile(path: "\(scratch.path)/a.safetensors"), try SafetensorsFile(bytes(of: file)),
        ] {
            XCTAssert(read.isVerified)
            XCTAssertEqual(read.metadata, file.metadata)
            XCTAssertEqual(read.tensors.keys.sorted(), ["a", "b.weight", "empty"])
            for (name, tensor) in file.tensors {
                XCTAssertEqual(read.tensors[name]?.dimensions, tensor.dimensions)
                XCTAssertEqual(read.tensors[name]?.values.map(\.bitPattern), tensor.values.map(\.bitPattern))
            }
        }
        XCTAssertEqual(try bytes(of: file), try bytes(of: makeFile()), "the same content makes the same bytes")
    }

    func testLayoutIsThatOfTheFormat() throws {
        let written = try bytes(of: makeFile())
        let length = written.prefix(8).enumerated().reduce(0) { $0 + Int($1.element) << (8 * $1.offset) }
        XCTAssertEqual((8 + length) % 64, 0)
        XCTAssertEqual(written[8], UInt8(ascii: "{"))
        let header = try JSON(parsing: Array(written[8..<8 + length]))
        XCTAssertEqual(header["a"], ["dtype": "F32", "shape": [], "data_offsets": [0, 4]])
        XCTAssertEqual(header["b.weight"], ["dtype": "F32", "shape": [2, 3], "data_offsets": [4, 28]])
        XCTAssertEqual(header["empty"], ["dtype": "F32", "shape": [3, 0], "data_offsets": [28, 28]])
        XCTAssertEqual(Array(written[(8 + length)..<(12 + length)]), [0, 0, 0xE0, 0x40], "7, little-endian")
        XCTAssertEqual(written.count, 8 + length + 28)
    }

    func testReadsFilesByOthers() throws {
        let header = """
            { "w" : {"dtype":"F32", "shape":[1,2], "data_offsets":[4,12]},
              "__metadata__": {"format":"pt"}, "v":{"data_offsets":[0,4],"shape":[1],"dtype":"F32"}}
            """
        let file = try SafetensorsFile(raw(header, [0, 0, 128, 63, 0, 0, 0, 64, 0, 0, 64, 64]))
        XCTAssertFalse(file.isVerified)
        XCTAssertEqual(file.metadata, ["format": "pt"])
        XCTAssertEqual(file.tensors["v"]?.values, [1])
        XCTAssertEqual(file.tensors["w"]?.values, [2, 3])
        XCTAssertEqual(file.tensors["w"]?.dimensions, [1, 2])
        XCTAssert(try SafetensorsFile(raw("{}", [])).tensors.isEmpty)
        XCTAssert(try SafetensorsFile(raw("{\"__metadata__\":null}    ", [])).metadata.isEmpty)
    }

    func testNumbersOfEveryTypeBecomeF32() throws {
        let cases: [(String, [UInt8], [Float])] = [
            ("F64", [0, 0, 0, 0, 0, 0, 0xF8, 0xBF], [-1.5]), ("F32", [0, 0, 0x20, 0x40], [2.5]),
            ("F16", [0, 0x3E, 0, 0x80, 1, 0], [1.5, -0.0, 0x1p-24]), ("BF16", [0xC0, 0xC0], [-6]),
            ("I64", [0xFE] + [UInt8](repeating: 0xFF, count: 7), [-2]), ("I32", [0, 0, 0, 0x80], [-0x1p31]),
            ("I16", [0xFF, 0x7F], [32767]), ("I8", [0x80, 5], [-128, 5]),
            ("U64", [UInt8](repeating: 0xFF, count: 8), [0x1p64]), ("U32", [0, 0, 0, 0x80], [0x1p31]),
            ("U16", [0xFF, 0xFF], [65535]), ("U8", [255, 0, 7], [255, 0, 7]), ("BOOL", [0, 1, 2], [0, 1, 1]),
        ]
        for (type, data, values) in cases {
            // A byte before it: what follows is not aligned.
            let header = """
                {"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},
                 "b":{"dtype":"\(type)","shape":[\(values.count)],"data_offsets":[1,\(1 + data.count)]}}
                """
            let read = try SafetensorsFile(raw(header, [9] + data)).tensors
            XCTAssertEqual(read["b"]?.values.map(\.bitPattern), values.map(\.bitPattern), type)
            XCTAssertEqual(read["a"]?.values, [9])
        }
    }

    func testLargeTensorsOfNarrowTypes() throws {
        // More than one piece, so that the threads share it.
        let count = 700_001
        let data = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        let header = "{\"a\":{\"dtype\":\"I8\",\"shape\":[\(count)],\"data_offsets\":[0,\(count)]}}"
        let values = try XCTUnwrap(SafetensorsFile(raw(header, data)).tensors["a"]).values
        XCTAssertEqual(values, data.map { Float(Int8(bitPattern: $0)) })
    }

    func testRefusesWhatIsNotTheFormat() throws {
        func entry(_ shape: String, _ begin: String, _ end: String, _ type: String = "F32") -> String {
            "{\"dtype\":\"\(type)\",\"shape\":\(shape),\"data_offsets\":[\(begin),\(end)]}"
        }
        let whole = entry("[1]", "0", "4")
        let cases: [(String, Status, String, String)] = [
            ("hole", .corruptData, "hole or an overlap", "{\"a\":\(whole),\"b\":\(entry("[1]", "8", "12"))}"),
            ("overlap", .corruptData, "hole or an overlap", "{\"a\":\(whole),\"b\":\(entry("[2]", "0", "8"))}"),
            ("rest", .corruptData, "need 4 bytes", "{\"a\":\(whole)}"),
            ("beyond", .corruptData, "need 16 bytes", "{\"a\":\(entry("[4]", "0", "16"))}"),
            ("size", .corruptData, "do not fit", "{\"a\":\(entry("[4]", "0", "12"))}"),
            ("reversed", .corruptData, "do not fit", "{\"a\":\(entry("[1]", "4", "0"))}"),
            ("negative", .corruptData, "do not fit", "{\"a\":\(entry("[1]", "-4", "0"))}"),
            ("negative shape", .corruptData, "sizes", "{\"a\":\(entry("[-1,-3]", "0", "12"))}"),
            ("overflow", .corruptData, "do not fit", "{\"a\":\(entry("[1099511627776,1099511627776]", "0", "12"))}"),
            ("beyond Int", .corruptData, "sizes", "{\"a\":\(entry("[99999999999999999999]", "0", "12"))}"),
            ("fraction", .corruptData, "sizes", "{\"a\":\(entry("[3.5]", "0", "12"))}"),
            ("a quarter", .unsupported, "F8_E4M3", "{\"a\":\(entry("[12]", "0", "12", "F8_E4M3"))}"),
            ("half of the numbers", .corruptData, "do not fit", "{\"a\":\(entry("[3]", "0", "12", "F16"))}"),
            ("twice", .corruptData, "twice", "{\"a\":\(entry("[3]", "0", "12")),\"a\":\(entry("[0]", "12", "12"))}"),
            (
                "a member more", .corruptData, "expected dtype",
                "{\"a\":{\"x\":1,\(entry("[3]", "0", "12").dropFirst())}"
            ),
            ("no entry", .corruptData, "expected dtype", "{\"a\":3}"),
            ("three offsets", .corruptData, "expected dtype", "{\"a\":\(entry("[3]", "0", "12,13"))}"),
            ("metadata", .corruptData, "no text", "{\"__metadata__\":{\"x\":1}}"),
            ("metadata list", .corruptData, "no JSON object", "{\"__metadata__\":[]}"),
            ("no object", .corruptData, "no JSON object", "[]"), ("no JSON", .corruptData, "JSON", "{"),
            ("nothing", .corruptData, "JSON", ""),
            ("nested", .corruptData, "nested", String(repeating: "[", count: 10_000)),
        ]
        let data = [UInt8](repeating: 0, count: 12)
        for (what, status, words, header) in cases {
            XCTAssertThrowsError(try SafetensorsFile(raw(header, data)), what) { error in
                let error = error as? RengaError
                XCTAssertEqual(error?.status, status, what)
                XCTAssert(error?.message.contains(words) == true, "\(what): \(error?.message ?? "")")
            }
        }
    }

    func testRefusesLengthsThatCannotBe() throws {
        for length: [UInt8] in [
            [255, 255, 255, 255, 255, 255, 255, 255], [0, 0, 0, 0, 0, 0, 0, 128], [0, 0, 0, 2, 0, 0, 0, 0],
            [3, 0, 0, 0, 0, 0, 0, 0],
        ] {
            expect(.corruptData, "header would have") { _ = try SafetensorsFile(length + Array("{}".utf8)) }
        }
        for count in 0..<8 {
            expect(.corruptData, "only \(count) bytes") { _ = try SafetensorsFile([UInt8](repeating: 0, count: count)) }
        }
    }

    func testEveryFlippedByteIsFound() throws {
        let file = try makeFile()
        let whole = try bytes(of: file)
        for index in whole.indices {
            for mask: UInt8 in [0x01, 0x20, 0x80, 0xFF] {
                var damaged = whole
                damaged[index] ^= mask
                XCTAssertThrowsError(try SafetensorsFile(damaged), "byte \(index) ^ \(mask)")
            }
        }
    }

    func testEveryTruncationAndExtensionIsFound() throws {
        let whole = try bytes(of: makeFile())
        for length in whole.indices { expect(.corruptData) { _ = try SafetensorsFile(Array(whole[..<length])) } }
        expect(.corruptData) { _ = try SafetensorsFile(whole + [0]) }
    }

    func testRefusesNamesThatCannotBe() throws {
        let tensor = try Tensor(dimensions: [1])
        for name in ["", "__metadata__"] {
            expect(.invalidArgument, "name") { _ = try bytes(of: SafetensorsFile(tensors: [name: tensor])) }
        }
        expect(.invalidArgument, "reserved") {
            _ = try bytes(of: SafetensorsFile(tensors: [:], metadata: ["renga.checksum.a": "x"]))
        }
        let long = String(repeating: "x", count: SafetensorsHeader.mostBytes)
        expect(.invalidArgument, "at most") {
            _ = try bytes(of: SafetensorsFile(tensors: [:], metadata: ["note": long]))
        }
    }

    func testFailuresNameTheFile() throws {
        let scratch = try Scratch()
        expect(.fileError, "none.safetensors", "No such file") {
            _ = try SafetensorsFile(path: "\(scratch.path)/none.safetensors")
        }
        expect(.fileError, "folder") { _ = try SafetensorsFile(path: scratch.path) }
        let empty = try scratch.write("empty", [])
        expect(.corruptData, empty, "0 bytes") { _ = try SafetensorsFile(path: empty) }
        expect(.fileError, "folder") { try self.makeFile().save(to: scratch.path) }
    }
}
