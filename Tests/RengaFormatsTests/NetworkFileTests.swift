// NetworkFileTests.swift: networks come back as they were, with what travelled with them, or not at all.
// Not here: the container's own checks (SafetensorsTests).
import RengaArchitectures
import RengaFormats
import RengaNetwork
import TestSupport
import XCTest

final class NetworkFileTests: XCTestCase {
    private func makeNetwork() throws -> Network {
        var builder = NetworkBuilder()
        let input = try builder.addInput(h: 5, w: 4, c: 2)
        let conv = try builder.add(
            Convolution(attributes: ["channels": "3", "kernel": "3"]), name: "conv", input)
        let norm = try builder.add(BatchNorm(), name: "norm", conv)
        builder.metadata["note"] = "small"
        return try builder.build(outputs: [norm], initialization: .heFanIn, seed: 5)
    }

    private func assertEqual(_ a: Network, _ b: Network, line: UInt = #line) {
        XCTAssertEqual(NetworkDescription(a).jsonText, NetworkDescription(b).jsonText, line: line)
        XCTAssertEqual(a.parameterNames, b.parameterNames, line: line)
        for (name, parameter) in a.parameters {
            XCTAssertEqual(parameter.role, b.parameters[name]?.role, line: line)
            XCTAssertEqual(
                parameter.tensor.values.map(\.bitPattern), b.parameters[name]?.tensor.values.map(\.bitPattern), name,
                line: line)
        }
    }

    func testResNetComesBackBitForBit() throws {
        let scratch = try Scratch()
        let network = try Architectures.make("resnet", options: ["depth": "8", "classes": "10"], seed: 3)
        let path = "\(scratch.path)/net.renga"
        try NetworkFile(network).save(to: path)
        let read = try NetworkFile(path: path)
        assertEqual(read.network, network)
        XCTAssert(read.tensors.isEmpty && read.metadata.isEmpty)
        XCTAssertEqual(try scratch.read("net.renga"), try bytes(of: read), "saved again it has the same bytes")
        // Any reader of safetensors sees the weights under their names.
        let plain = try SafetensorsFile(path: path)
        XCTAssertEqual(plain.tensors.keys.sorted(), network.parameterNames.sorted())
    }

    func testExtraStateTravelsAlong() throws {
        var file = try NetworkFile(makeNetwork())
        // The same name as a parameter's is another tensor.
        file.tensors["conv.weight"] = try Tensor(dimensions: [2], values: [8, 9])
        file.tensors["@"] = try Tensor(dimensions: [], values: [1])
        file.metadata["step"] = "17"
        let read = try NetworkFile(bytes(of: file))
        assertEqual(read.network, file.network)
        XCTAssertEqual(read.network.metadata, ["note": "small"])
        XCTAssertEqual(read.metadata, ["step": "17"])
        XCTAssertEqual(read.tensors.mapValues(\.values), ["conv.weight": [8, 9], "@": [1]])
        file.metadata["renga.x"] = ""
        expect(.invalidArgument, "reserved") { _ = try bytes(of: file) }
    }

    func testEveryFlippedByteAndTruncationIsRefused() throws {
        let whole = try bytes(of: NetworkFile(makeNetwork(), metadata: ["k": "v"]))
        for index in whole.indices {
            for mask: UInt8 in [0x01, 0x20, 0xFF] {
                var damaged = whole
                damaged[index] ^= mask
                XCTAssertThrowsError(try NetworkFile(damaged), "byte \(index) ^ \(mask)") { error in
                    let status = (error as? RengaError)?.status
                    XCTAssert(status == .corruptData || status == .unsupported, "\(error)")
                }
            }
            expect(.corruptData) { _ = try NetworkFile(Array(whole[..<index])) }
        }
    }

    /// A file with right checksums whose tensors are not those of its description.
    private func forged(_ change: (inout SafetensorsFile) throws -> Void) throws -> [UInt8] {
        var file = try SafetensorsFile(bytes(of: NetworkFile(makeNetwork())))
        try change(&file)
        return try bytes(of: file)
    }

    func testShapesMustFitTheDescription() throws {
        let tensor = try Tensor(dimensions: [3])
        XCTAssertNoThrow(try NetworkFile(forged { _ in }))
        let cases: [(String, Status, (inout SafetensorsFile) throws -> Void)] = [
            ("'conv.weight': expected weight [3, 3, 2, 3]", .corruptData, { $0.tensors["conv.weight"] = tensor }),
            ("'norm.gamma' [3] is missing", .corruptData, { $0.tensors["norm.gamma"] = nil }),
            ("'norm.more' belongs to no layer", .corruptData, { $0.tensors["norm.more"] = tensor }),
            ("renga.network is missing", .corruptData, { $0.metadata["renga.network"] = nil }),
            ("renga.format", .corruptData, { $0.metadata["renga.format"] = "x" }),
            ("version 2", .unsupported, { $0.metadata["renga.format"] = "2" }),
            ("JSON", .corruptData, { $0.metadata["renga.network"] = "{" }),
            ("not a network", .corruptData, { $0.metadata["renga.network"] = "{}" }),
        ]
        for (words, status, change) in cases {
            let file = try forged(change)
            expect(status, words) { _ = try NetworkFile(file) }
        }
    }

    func testHugeDescriptionsAreRefused() throws {
        let network = try forged {
            let text = try XCTUnwrap($0.metadata["renga.network"])
            $0.metadata["renga.network"] = text.replacing("\"c\":2", with: "\"c\":1073741824")
        }
        expect(.corruptData) { _ = try NetworkFile(network) }
    }

    func testFilesByOthersAndNoFilesAreRefused() throws {
        let scratch = try Scratch()
        expect(.corruptData, "not of a Renga network") { _ = try NetworkFile(raw("{}", [])) }
        let description = NetworkDescription(try makeNetwork()).jsonText
        let texts = JSON.object([.init("renga.format", "1"), .init("renga.network", .text(description))])
        expect(.corruptData, "without its checksums") {
            _ = try NetworkFile(raw("{\"__metadata__\":\(texts)}", []))
        }
        expect(.fileError, "folder") { _ = try NetworkFile(path: scratch.path) }
        let text = try scratch.write("notes.txt", Array("hello, this is no network at all".utf8))
        expect(.corruptData, "notes.txt") { _ = try NetworkFile(path: text) }
    }

    func testAFailedSaveLeavesTheOldFile() throws {
        let scratch = try Scratch()
        let path = "\(scratch.path)/net"
        let network = try makeNetwork()
        try NetworkFile(network).save(to: path)
        let before = try scratch.read("net")
        expect(.invalidArgument) { try NetworkFile(network, metadata: ["renga.": ""]).save(to: path) }
        XCTAssertEqual(try scratch.read("net"), before)
        XCTAssertEqual(scratch.names, ["net"])
    }
}
