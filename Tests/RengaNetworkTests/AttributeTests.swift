// AttributeTests: options in text form: what is accepted, and the sentence for what is not.
import RengaNetwork
import TestSupport
import XCTest

final class AttributeTests: XCTestCase {
    func testText() throws {
        XCTAssertEqual(try Attributes(text: ""), [:])
        XCTAssertEqual(try Attributes(text: "  "), [:])
        XCTAssertEqual(try Attributes(text: "a=1"), ["a": "1"])
        XCTAssertEqual(try Attributes(text: " a = 1 , b=x=y,c= "), ["a": "1", "b": "x=y", "c": ""])
        for text in ["a", "a=1,", ",", "=1", "a=1,,b=2", "a=1 b"] where text != "a=1 b" {
            assertFails(.invalidArgument, "name=value") { try Attributes(text: text) }
        }
        assertFails(.invalidArgument, "'a' is given twice") { try Attributes(text: "a=1,a=1") }
    }

    func testUnknownNamesListTheKnown() {
        assertFails(.notFound, "unknown operator 'conv'", "convolution", "softmax") {
            try OperatorTable.make("conv", [:])
        }
        assertFails(.notFound, "batch_norm: unknown option 'eps'", "epsilon, momentum, mode, affine") {
            try OperatorTable.make("batch_norm", ["eps": "1"])
        }
        assertFails(.notFound, "relu", "'slope'", "no options") { try OperatorTable.make("relu", ["slope": "1"]) }
    }

    func testWrongValuesNameOptionBoundsAndValue() {
        let wrong: [(String, Attributes, [String])] = [
            ("convolution", ["channels": "0", "kernel": "1"], ["'channels'", "1...1048576", "'0'"]),
            ("convolution", ["channels": "8", "kernel": "4097"], ["'kernel'", "1...4096", "'4097'"]),
            ("convolution", ["channels": "99999999999999999999", "kernel": "1"], ["'channels'"]),
            ("convolution", ["channels": "8", "kernel": "3", "pad_top": "-1"], ["'pad_top'", "0...4096", "'-1'"]),
            ("convolution", ["channels": "8", "kernel": "3", "bias": "maybe"], ["'bias'", "yes or no", "'maybe'"]),
            ("convolution", ["channels": "8.5", "kernel": "3"], ["'channels'", "'8.5'"]),
            ("batch_norm", ["epsilon": "0"], ["'epsilon'", "'0'"]), ("batch_norm", ["epsilon": "nan"], ["'epsilon'"]),
            ("batch_norm", ["momentum": "inf"], ["'momentum'", "0.0...1.0"]),
            ("batch_norm", ["mode": "fixed"], ["'mode'", "train, frozen, frozen_statistics", "'fixed'"]),
            ("dropout", ["rate": "1"], ["'rate'", "0.0...0.99"]), ("dropout", ["rate": ""], ["'rate'", "''"]),
            ("max_pool", ["kernel": "2", "ceil_mode": ""], ["'ceil_mode'"]),
        ]
        for (name, attributes, words) in wrong {
            do {
                _ = try OperatorTable.make(name, attributes)
                XCTFail("\(name) took \(attributes)")
            } catch {
                XCTAssertEqual(error.status, .invalidArgument)
                for word in words + [name] { XCTAssertTrue(error.message.contains(word), "\(error.message): \(word)") }
            }
        }
    }

    func testWhatMustBeGiven() {
        assertFails(.invalidArgument, "convolution", "'channels' must be given") {
            try OperatorTable.make("convolution", ["kernel": "3"])
        }
        assertFails(.invalidArgument, "'kernel", "must be given") {
            try OperatorTable.make("convolution", ["channels": "3", "kernel_h": "1"])
        }
        XCTAssertNoThrow(try OperatorTable.make("max_pool", ["kernel_h": "1", "kernel_w": "2"]))
    }

    func testReaderTakesDefaultsOfDefaults() throws {
        let specs = [
            AttributeSpec("all", .integer(0...9), default: "3", "."),
            AttributeSpec("some", .integer(0...9), default: "all", "."),
            AttributeSpec("one", .integer(0...9), default: "some", "."),
            AttributeSpec("size", .size, default: "4x5x6", "."),
            AttributeSpec("loop", .integer(0...9), default: "loop", "."),
        ]
        let reader = try AttributeReader(["some": "7"], specs, owner: "test")
        XCTAssertEqual(try reader.integer("all"), 3)
        XCTAssertEqual(try reader.integer("one"), 7)
        XCTAssertEqual(try reader.size("size"), ImageSize(h: 4, w: 5, c: 6))
        XCTAssertTrue(reader.isGiven("some"))
        XCTAssertFalse(reader.isGiven("one"))
        XCTAssertEqual(reader.effective, ["all": "3", "some": "7", "one": "7", "size": "4x5x6"])
        assertFails(.internalFault) { try reader.number("all") }
        assertFails(.invalidArgument) { try reader.integer("loop") }
        for size in ["4x5", "4x5x6x7", "0x5x6", "4x-5x6", "4x5x", "x", "4 x5x6", "9999999x1x1"] {
            assertFails(.invalidArgument, "HxWxC", size) { try AttributeReader(["size": size], specs, owner: "test") }
        }
    }

    /// Every default of every operator passes its own bounds.
    func testDefaultsAreWithinTheirBounds() throws {
        for type in OperatorTable.all {
            for spec in type.attributes {
                guard let text = spec.defaultText, !type.attributes.contains(where: { $0.name == text }) else {
                    continue
                }
                XCTAssertNoThrow(try AttributeReader([spec.name: text], type.attributes, owner: type.name), spec.name)
            }
        }
    }

    func testListing() throws {
        let operators = try XCTUnwrap(JSON(parsing: OperatorTable.listJSONText)["operators"]?.listValue)
        XCTAssertEqual(operators.compactMap { $0["name"]?.textValue }, OperatorTable.all.map { $0.name })
        let convolution = try XCTUnwrap(operators.first)
        let kernel = try XCTUnwrap(convolution["options"]?.listValue?.first { $0["name"] == "kernel" })
        XCTAssertEqual(kernel["kind"], "integer")
        XCTAssertEqual(kernel["minimum"], 1)
        XCTAssertEqual(kernel["maximum"], 4096)
        XCTAssertEqual(kernel["default"], .null)
    }
}
