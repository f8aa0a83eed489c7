// JSONTests.swift: JSON text written and read back, and every kind of broken text refused with its place.
import RengaNetwork
import XCTest

final class JSONTests: XCTestCase {
    func testWritingIsCompactAndKeepsTheOrder() {
        let value: JSON = ["b": [1, 2.5, true, nil], "a": "x\"\\\n\u{1}é😀", "c": [:]]
        XCTAssertEqual(value.description, #"{"b":[1,2.5,true,null],"a":"x\"\\\n\u0001é😀","c":{}}"#)
        XCTAssertEqual(JSON.number(.nan).description, "null")
        XCTAssertEqual(JSON.number(-.infinity).description, "null")
    }

    func testReadingGivesBackWhatWasWritten() throws {
        let value: JSON = [
            "text": "tab\t slash/ 日本", "list": [[], [[]], -7, 1e300, 1e-300, false], "null": nil,
            "big": .integer(.max), "small": .integer(.min),
        ]
        XCTAssertEqual(try JSON(parsing: value.description), value)
        XCTAssertEqual(try JSON(parsing: " { \"a\" :\t[ 1 ,\r\n2 ] } "), ["a": [1, 2]])
    }

    func testEscapesAndSurrogates() throws {
        XCTAssertEqual(try JSON(parsing: #""\u0041\b\f\n\r\t\/\"\\\ud83d\ude00""#), "A\u{8}\u{C}\n\r\t/\"\\😀")
        for broken in [#""\ud83d""#, #""\ud83d\u0041""#, #""\ude00""#, #""\x""#, #""\u12g4""#, "\"\u{1}\"", "\"a"] {
            XCTAssertThrowsError(try JSON(parsing: broken), broken)
        }
        XCTAssertThrowsError(try JSON(parsing: [0x22, 0xFF, 0x22]))
    }

    func testNumbers() throws {
        XCTAssertEqual(try JSON(parsing: "-0"), 0)
        XCTAssertEqual(try JSON(parsing: "9223372036854775808"), .number(9_223_372_036_854_775_808))
        XCTAssertEqual(try JSON(parsing: "1E+2"), .number(100))
        for broken in ["01", "1.", ".5", "-", "1e", "+1", "0x1", "NaN", "1e999", "--1"] {
            XCTAssertThrowsError(try JSON(parsing: broken), broken)
        }
    }

    func testBrokenTextIsRefusedWithItsPlace() {
        let objects = ["{", "{\"a\"", "{\"a\":", "{\"a\":1,", "{\"a\":1,}", "{a:1}"]
        for broken in objects + ["", " ", "[", "[1", "[1,", "[1,]", "tru", "nul", "1 2", "]"] {
            XCTAssertThrowsError(try JSON(parsing: broken), broken) { error in
                XCTAssertEqual((error as? RengaError)?.status, .corruptData, broken)
                XCTAssertTrue("\(error)".contains("at byte"), "\(error)")
            }
        }
        XCTAssertThrowsError(try JSON(parsing: #"{"a":1,"a":2}"#))
    }

    func testDepthIsBounded() throws {
        func nested(_ depth: Int) -> String {
            String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
        }
        XCTAssertNoThrow(try JSON(parsing: nested(JSON.deepest)))
        XCTAssertThrowsError(try JSON(parsing: nested(JSON.deepest + 1)))
        XCTAssertThrowsError(try JSON(parsing: nested(1_000_000)))
    }
}
