// NormalizationTests.swift: the text form of a normalisation, and what it refuses.
import RengaNetwork
import XCTest

final class NormalizationTests: XCTestCase {
    func testTextReadsBackExactly() throws {
        let made = try Normalization(mean: [125.3, 0.1, 1e-20], scale: [1 / 63, -2, 3e20])
        XCTAssertEqual(try Normalization(json: made.json), made)
        let loose = try Normalization(json: " { \"scale\" : [ 1, 2 ] ,\n \"mean\": [ 3.5 , 4 ] } ")
        XCTAssertEqual(loose, try Normalization(mean: [3.5, 4], scale: [1, 2]))
    }

    func testRefusesWhatIsNotOne() {
        let texts = [
            "", "{", "{}", "[]", "{\"mean\":[1]}", "{\"mean\":[1],\"scale\":[1,2]}", "{\"mean\":[x],\"scale\":[1]}",
            "{\"mean\":[1],\"mean\":[1]}", "{\"mean\":[1],\"scale\":[nan]}", "{\"mean\":[],\"scale\":[]}",
            "{\"mean\":[1],\"scale\":[1],}", "{\"mean\":[1],\"scale\":[1],\"more\":[1]}", "{\"mean\":]1[}",
            "{\"mean\":[1,,2],\"scale\":[1,2,3]}",
        ]
        for text in texts {
            XCTAssertThrowsError(try Normalization(json: text), text)
        }
    }
}
