// DescriptionTests: a structure as JSON and back, and every way in which such text can be wrong.
import RengaNetwork
import TestSupport
import XCTest

final class DescriptionTests: XCTestCase {
    private func description() throws -> NetworkDescription {
        var builder = NetworkBuilder()
        let image = try builder.addInput("image", h: 8, w: 8, c: 3)
        let mask = try builder.addInput("mask", h: 8, w: 8, c: 1)
        let both = try builder.add(Concat(), name: "both", image, mask)
        let conv = try builder.add(
            Convolution(channels: 4, window: Window(kernel: 3, pad: 1), bias: false), name: "conv", both)
        let norm = try builder.add(BatchNorm(epsilon: 2e-5), name: "bn", conv)
        return NetworkDescription(try builder.structure(outputs: [norm, conv]), metadata: ["classes": "a,\"b\"\n"])
    }

    func testRoundTrip() throws {
        let description = try description()
        let again = try NetworkDescription(parsing: description.jsonText)
        XCTAssertEqual(again.jsonText, description.jsonText)
        XCTAssertEqual(again.metadata, description.metadata)
        XCTAssertEqual(again.structure.outputs, [4, 3])
        XCTAssertEqual((again.structure.nodes[2].op as? BatchNorm)?.epsilon, 2e-5)
        XCTAssertEqual(try again.structure.shapes(n: 3), try description.structure.shapes(n: 3))
    }

    func testForeignAndNewerTextIsRefused() {
        for text in [
            "{}", "[]", "1", "{\"format\":\"x\",\"version\":1}", "{\"format\":\"renga-network\"}",
            "{\"format\":\"renga-network\",\"version\":0}",
        ] {
            assertFails(.corruptData, "not a network description") { try NetworkDescription(parsing: text) }
        }
        assertFails(.unsupported, "version 2") {
            try NetworkDescription(parsing: "{\"format\":\"renga-network\",\"version\":2}")
        }
    }

    /// One change each to a good text, and words that the refusal must contain.
    func testWrongParts() throws {
        let good = try description().jsonText
        let changes: [(String, String, String)] = [
            ("\"op\":\"concat\"", "\"op\":\"concatenate\"", "unknown operator"),
            ("\"channels\":\"4\"", "\"channels\":\"-4\"", "'channels'"),
            ("\"channels\":\"4\"", "\"channels\":4", "no text"),
            ("\"kernel\":\"3\"", "\"kernels\":\"3\"", "unknown option"),
            ("\"kernel\":\"3\"", "\"kernel\":\"33\"", "layer 'conv'"),
            ("\"inputs\":[\"both\"]", "\"inputs\":[\"bn\"]", "'bn' is no value that stands before"),
            ("\"inputs\":[\"both\"]", "\"inputs\":[\"nothing\"]", "'nothing'"),
            ("\"inputs\":[\"both\"]", "\"inputs\":[]", "expected 1 inputs"),
            ("\"inputs\":[\"both\"]", "\"inputs\":[1]", "other than names"),
            ("\"name\":\"bn\"", "\"name\":\"conv\"", "twice"),
            ("\"name\":\"bn\"", "\"name\":\"b n\"", "'bn' is no value"),
            ("\"name\":\"bn\"", "\"nam\":\"bn\"", "lacks its name"),
            ("\"outputs\":[\"bn\",\"conv\"]", "\"outputs\":[]", "at least one output"),
            ("\"outputs\":[\"bn\",\"conv\"]", "\"outputs\":\"bn\"", "\"outputs\""),
            ("\"h\":8", "\"h\":0", "input"), ("\"h\":8", "\"h\":8.5", "extents"), ("\"h\":8", "\"h\":9", "same shape"),
            ("\"nodes\":[", "\"nodez\":[", "\"nodes\""), ("\"metadata\":{", "\"metadata\":[{", "not JSON"),
            ("\"classes\":\"a", "\"classes\":[],\"x\":\"a", "'classes' is no text"),
        ]
        for (from, to, word) in changes {
            guard let range = good.range(of: from) else { return XCTFail("the text has no \(from)") }
            let text = good.replacingCharacters(in: range, with: to)
            if word == "not JSON" {
                assertFails(.corruptData) { try NetworkDescription(parsing: text) }
            } else {
                assertFails(.corruptData, "network description", word) { try NetworkDescription(parsing: text) }
            }
        }
    }

    /// Any single changed byte gives a description or an error, never a crash; what is accepted can be written and read again.
    func testDamagedTextNeverTraps() throws {
        let bytes = Array(try description().jsonText.utf8)
        var random = TestRandom(5)
        var accepted = 0
        for _ in 0..<3000 {
            var damaged = bytes
            damaged[random.index(bytes.count)] = UInt8(32 + random.index(95))
            guard let json = try? JSON(parsing: damaged), let read = try? NetworkDescription(json) else { continue }
            accepted += 1
            XCTAssertNoThrow(try NetworkDescription(parsing: read.jsonText))
        }
        XCTAssertGreaterThan(accepted, 10)
    }

    /// Concatenations that double the channels each time end at the largest extent, not in a trap or in years of work.
    func testGrowthIsBounded() {
        var nodes: [String] = []
        for index in 0..<40 {
            let source = index == 0 ? "x" : "n\(index - 1)"
            nodes.append("{\"name\":\"n\(index)\",\"op\":\"concat\",\"inputs\":[\"\(source)\",\"\(source)\"]}")
        }
        assertFails(.corruptData, "layer 'n3") {
            try NetworkDescription(
                parsing:
                    "{\"format\":\"renga-network\",\"version\":1,\"inputs\":[{\"name\":\"x\",\"h\":1,\"w\":1,\"c\":1}],"
                    + "\"nodes\":[\(nodes.joined(separator: ","))],\"outputs\":[\"n0\"]}")
        }
    }
}
