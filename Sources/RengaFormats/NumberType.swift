// NumberType.swift: the number types of safetensors files, all of which become f32 when they are read.
// Not here: the conversion (rk_numbers.h).
import CRengaKernels

/// What the numbers of a file are.
struct NumberType: Equatable {
    /// As safetensors files call it.
    let name: String
    /// As the kernels call it.
    let code: rk_number

    static let f32 = NumberType(name: "F32", code: RK_NUMBER_F32)
    /// All that are read.
    static let all = [
        f32, NumberType(name: "F64", code: RK_NUMBER_F64), NumberType(name: "F16", code: RK_NUMBER_F16),
        NumberType(name: "BF16", code: RK_NUMBER_BF16), NumberType(name: "I64", code: RK_NUMBER_I64),
        NumberType(name: "I32", code: RK_NUMBER_I32), NumberType(name: "I16", code: RK_NUMBER_I16),
        NumberType(name: "I8", code: RK_NUMBER_I8), NumberType(name: "U64", code: RK_NUMBER_U64),
        NumberType(name: "U32", code: RK_NUMBER_U32), NumberType(name: "U16", code: RK_NUMBER_U16),
        NumberType(name: "U8", code: RK_NUMBER_U8), NumberType(name: "BOOL", code: RK_NUMBER_BOOL),
    ]

    /// Bytes of one number.
    var bytes: Int { Int(rk_number_bytes(code)) }
}
